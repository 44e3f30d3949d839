// How much of the machine others use while we measure. All times are in the kernel's clock ticks,
// which are the same in /proc/stat and /proc/PID/stat.
import { nonsense } from './error.ts';
import { openTree, type Tree } from './tree.ts';

export interface CpuTimes {
  /** All CPUs together, idle time included. */
  readonly total: number;
  readonly busy: number;
  /** Spent by the process tree that was asked for. */
  readonly own: number;
}

/** Reads CPU times; `own` is that of `pid` and all its descendants (0 without a pid). */
export async function readCpuTimes(
  options: { readonly pid?: number; readonly root?: string } = {},
): Promise<CpuTimes> {
  const tree = await openTree(options.root);
  const own = options.pid === undefined ? 0 : await ticksOfTree(tree, options.pid);
  return { ...parseStat(await tree.readText('/proc/stat')), own };
}

/** All CPU times of a machine, for whoever looks again and again; those of no process are told apart. */
export async function readAllCpuTimes(tree: Tree): Promise<CpuTimes> {
  return { ...parseStat(await tree.readText('/proc/stat')), own: 0 };
}

/** Share of all CPU time, 0 to 1, that others used between two readings. */
export function busyShare(before: CpuTimes, after: CpuTimes): number {
  const total = after.total - before.total;
  if (total <= 0) return 0;
  const others = after.busy - before.busy - (after.own - before.own);
  return Math.min(1, Math.max(0, others / total));
}

/** The `cpu` line: user nice system idle iowait irq softirq steal (guest times are in user). */
function parseStat(text: string): { readonly total: number; readonly busy: number } {
  const [, list] = /^cpu\s+([\d ]+)$/m.exec(text) ?? [];
  const ticks = (list ?? '').trim().split(/\s+/).map(Number);
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) {
    throw nonsense('a line "cpu" with its times', text);
  }
  const busy = user + nice + system + irq + softirq + steal;
  return { total: busy + idle + iowait, busy };
}

interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  /** Its own time and that of children that have ended. */
  readonly ticks: number;
}

async function ticksOfTree(tree: Tree, pid: number): Promise<number> {
  const pids = (await tree.list('/proc')).filter((name) => /^\d+$/.test(name));
  const all = (await Promise.all(pids.map((name) => processTimes(tree, name)))).flat();
  const members = new Set([pid]);
  // A child may have a lower number than its parent, so this goes on until nothing is added.
  for (let size = 0; size < members.size;) {
    size = members.size;
    for (const one of all) if (members.has(one.parent)) members.add(one.pid);
  }
  return all.filter((one) => members.has(one.pid)).reduce((sum, { ticks }) => sum + ticks, 0);
}

async function processTimes(tree: Tree, name: string): Promise<readonly ProcessTimes[]> {
  let text = '';
  try {
    text = await tree.readText(`/proc/${name}/stat`);
  } catch {
    // It ended between the listing and the reading.
    return [];
  }
  // The second field is the command in parentheses, which may hold spaces and parentheses.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = fields;
  // utime stime cutime cstime are fields 14 to 17 of the line; the third is the first here.
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return [{ pid: Number(name), parent, ticks }];
}
