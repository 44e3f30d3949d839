import type { Facts } from '../contracts/facts.ts';
import { nonsense } from './error.ts';
import { readFact, readOptional, type Reading } from './facts-log.ts';
import { parseLine } from './parse.ts';

/** Reads the operating system's name, the kernel release, and whether this is a container. */
export async function readOs(reading: Reading): Promise<Facts['os']> {
  const release = ['/etc/os-release', '/usr/lib/os-release'];
  return {
    name: await readFact(reading, 'os.name', release, parseOsName),
    kernel:
      (await readFact(reading, 'os.kernel', '/proc/sys/kernel/osrelease', parseLine)) ??
      (await readFact(reading, 'os.kernel', '/proc/version', parseVersion)),
    container: await inContainer(reading),
  };
}

function parseOsName(text: string): string {
  const value = (key: string) =>
    new RegExp(`^${key}=(?:"([^"\\n]*)"|'([^'\\n]*)'|(\\S*))`, 'm')
      .exec(text)
      ?.slice(1)
      .find(Boolean);
  const name = value('PRETTY_NAME') ?? [value('NAME'), value('VERSION')].filter(Boolean).join(' ');
  if (name === '') throw nonsense('PRETTY_NAME= or NAME=', text);
  return parseLine(name);
}

function parseVersion(text: string): string {
  const [, kernel] = /^Linux version (\S+)/.exec(text) ?? [];
  if (kernel === undefined) throw nonsense('"Linux version ..."', text);
  return parseLine(kernel);
}

const MARKS = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'];
/** The top group of version 2 has no limits: seeing them there means seeing a namespace. */
const TOP_LIMITS = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/cpu.max'];

async function inContainer(reading: Reading): Promise<boolean> {
  const { tree } = reading;
  const marks = await Promise.all([...MARKS, ...TOP_LIMITS].map((path) => tree.exists(path)));
  const group = (await readOptional(tree, '/proc/self/cgroup')) ?? '';
  return marks.includes(true) || /[/:](docker|lxc|kubepods|containerd|libpod)/.test(group);
}
