/** What keeps a tool from its work: what was asked of it, or what is missing here. */
export class ToolError extends Error {}

/**
 * Runs a tool to its exit status. What keeps it from its work is 2, with its usage: nobody is to take it for what the
 * tool found (1), nor an option that leaves it nothing to do for promises that were kept (0).
 */
export async function runTool(usage: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (thrown) {
    if (!(thrown instanceof ToolError) && !isOfParseArgs(thrown)) throw thrown;
    process.stderr.write(`${thrown.message}\n\n${usage}`);
    process.exitCode = 2;
  }
}

/** The whole number that an option says, `least` or more. */
export function wholeNumber(option: string, text: string, least = 0): number {
  const number = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new ToolError(`${option} is "${text}": say a whole number from ${least} on`);
}

function isOfParseArgs(thrown: unknown): thrown is TypeError {
  return (
    thrown instanceof TypeError &&
    "code" in thrown &&
    String(thrown.code).startsWith("ERR_PARSE_ARGS_")
  );
}
