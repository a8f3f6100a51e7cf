import type { Command } from "@oclif/core/command";

type Completed = Pick<Command.Loadable, "id" | "flags">;

/**
 * A function of bash that completes commands, their flags wherever they stand, and the values of
 * flags that have few; for everything else, bash offers files.
 */
export function bashCompletion(bin: string, commands: readonly Completed[]): string {
  const lines = commands.map(({ id, flags }) => {
    const names = Object.keys(flags).map((name) => ` --${name}`);
    return `${id.replaceAll(":", " ")}${names.join("")} --help`;
  });
  const choices = [...choicesOf(commands)].map(
    ([name, values]) => `    --${name}) values="${[...values].join(" ")}" ;;`,
  );
  return template
    .replaceAll("<BIN>", bin)
    .replace("<COMMANDS>", () => lines.toSorted().join("\n"))
    .replace("<CHOICES>", () => choices.join("\n"));
}

/** What each flag with a list of values takes, in any command. */
function choicesOf(commands: readonly Completed[]): ReadonlyMap<string, ReadonlySet<string>> {
  const choices = new Map<string, ReadonlySet<string>>();
  for (const [name, flag] of commands.flatMap(({ flags }) => Object.entries(flags))) {
    if (flag.type !== "option" || flag.options === undefined) continue;
    choices.set(name, new Set([...(choices.get(name) ?? []), ...flag.options]));
  }
  return choices;
}

/** A backslash stands before each `$` that would else be this file's own. */
const template = String.raw`_<BIN>_autocomplete() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  local newline=$'\n' values="" command="" at=1 more line word
  local commands="
<COMMANDS>
"
  COMPREPLY=()
  case "$prev" in
<CHOICES>
  esac
  if [[ -n "$values" ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$cur"))
    return
  fi

  # The command: as many of the words as begin one.
  if [[ "\${COMP_WORDS[1]}" == help && COMP_CWORD -gt 1 && "$cur" != -* ]]; then at=2; fi
  while [[ at -lt COMP_CWORD ]]; do
    more="\${command:+$command }\${COMP_WORDS[at]}"
    [[ "$commands" == *"$newline$more "* ]] || break
    command="$more"
    at=$((at + 1))
  done

  if [[ "$cur" == -* ]]; then
    [[ "$commands" == *"$newline$command --"* ]] || return
    line="\${commands#*"$newline$command --"}"
    values="--\${line%%"$newline"*}"
  elif [[ at -eq COMP_CWORD ]]; then
    while read -r line; do
      [[ "$line" == "\${command:+$command }"* ]] || continue
      line="\${line#"\${command:+$command }"}"
      word="\${line%% *}"
      if [[ "$word" != -* ]]; then values="$values $word"; fi
    done <<< "$commands"
  fi
  COMPREPLY=($(compgen -W "$values" -- "$cur" | sort -u))
}

complete -o default -F _<BIN>_autocomplete <BIN>
`.replaceAll(String.raw`\$`, "$");
