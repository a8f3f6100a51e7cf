import { statfsSync } from "node:fs";
import { PosternError } from "../../base/errors.ts";
import { failure, ok, warning, type Finding } from "./finding.ts";

/** `f_type` of Linux (statfs(2), linux/magic.h) where a state must not lie: locks or links do not hold there. */
const unfit: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xfe534d42, "SMB"],
  [0xff534d42, "CIFS"],
  [0x01021997, "9P"],
  [0x786f4256, "a VirtualBox share"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x5346414f, "AFS"],
  [0x4d44, "FAT"],
  [0x2011bab0, "exFAT"],
]);
const fuse = 0x65735546;
const memoryOnly: ReadonlyMap<number, string> = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);

/** What kind of file system the state lies on, as far as this system tells. */
export function checkFileSystem(folder: string): Finding {
  const check = "state disk";
  if (process.platform !== "linux")
    return ok(check, "not looked at on this system: it has to be a local disk");
  const type = statfsSync(folder).type;
  return judgeFileSystem(check, type);
}

/** `type` as Linux counts them. */
export function judgeFileSystem(check: string, type: number): Finding {
  const move = "move the home to a local disk, then run `postern state recover`";
  const unfitName = unfit.get(type);
  if (unfitName !== undefined) {
    const what = `${unfitName} keeps no locks that a state needs: ${move}`;
    return failure(check, new PosternError("STATE_UNSAFE", what));
  }
  const memoryName = memoryOnly.get(type);
  if (memoryName !== undefined)
    return warning(check, `${memoryName} forgets everything at a restart`, move);
  if (type === fuse)
    return warning(check, "FUSE: whether its locks hold depends on what is behind it", move);
  return ok(check, "a local disk");
}
