// Small file trees that stand in for machines. Contents are written from the documented formats.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Path under the root -> content. */
export type Files = Readonly<Record<string, string>>;

const made: string[] = [];

/** Writes a tree into a new temporary folder and returns the folder. It has at least a proc. */
export function makeSysroot(files: Files): string {
  const root = mkdtempSync(join(tmpdir(), 'edgefit-sysroot-'));
  made.push(root);
  mkdirSync(join(root, 'proc'));
  for (const [path, content] of Object.entries(files)) putFile(root, path, content);
  return root;
}

export function putFile(root: string, path: string, content: string): void {
  const target = join(root, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
}

/** For `afterAll`: removes every tree made so far. */
export function removeSysroots(): void {
  for (const root of made.splice(0)) rmSync(root, { recursive: true, force: true });
}

/** /proc/cpuinfo of ARM cores: one block per part, numbered as given. */
export function armCpuinfo(
  cores: readonly { readonly number: number; readonly part: string; readonly features: string }[],
  tail = '',
): string {
  const blocks = cores.map(
    ({ number, part, features }) =>
      `processor\t: ${number}\nBogoMIPS\t: 108.00\nFeatures\t: ${features}\n` +
      `CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: ${part}\nCPU revision\t: 3\n`,
  );
  return `${blocks.join('\n')}\n${tail}`;
}

/** /proc/cpuinfo of x86 cores that are all alike. */
export function x86Cpuinfo(count: number, flags: string): string {
  return Array.from(
    { length: count },
    (_, cpu) =>
      `processor\t: ${cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: Test CPU @ 2.00GHz\nflags\t\t: ${flags}\n`,
  ).join('\n');
}

export function meminfo(kib: { readonly total: number; readonly available: number }): string {
  return `MemTotal:       ${kib.total} kB\nMemFree:           1000 kB\nMemAvailable:   ${kib.available} kB\nSwapTotal:             0 kB\n`;
}

const A72 = { part: '0xd08', features: 'fp asimd evtstrm crc32 cpuid' };

/** A Raspberry Pi 4 with every file that the probe reads there. */
export function raspberryPi4(): Record<string, string> {
  const clocks = Object.fromEntries(
    [0, 1, 2, 3].flatMap((cpu) => {
      const folder = `/sys/devices/system/cpu/cpu${cpu}/cpufreq`;
      return [
        [`${folder}/scaling_governor`, 'ondemand\n'],
        [`${folder}/cpuinfo_max_freq`, '1800000\n'],
        [`${folder}/scaling_max_freq`, '1800000\n'],
        [`${folder}/scaling_cur_freq`, `${600000 + cpu * 100000}\n`],
      ];
    }),
  );
  return {
    '/proc/cpuinfo': armCpuinfo([0, 1, 2, 3].map((number) => ({ number, ...A72 }))),
    '/proc/meminfo': meminfo({ total: 3_884_000, available: 3_500_000 }),
    '/proc/swaps': 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/var/swap file 102396 0 -2\n',
    '/proc/sys/kernel/osrelease': '6.6.51+rpt-rpi-v8\n',
    '/proc/device-tree/compatible': 'raspberrypi,4-model-b\0brcm,bcm2711\0',
    '/proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.5\0',
    '/etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n',
    '/sys/devices/system/cpu/online': '0-3\n',
    '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    '/sys/class/thermal/thermal_zone0/temp': '48312\n',
    '/sys/devices/platform/soc/soc:firmware/get_throttled': '0\n',
    ...clocks,
  };
}
