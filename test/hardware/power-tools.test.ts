// Meters that are programs: real child processes that print what the programs print.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { startReading } from '../../agent/hardware/facts-log.ts';
import { watchFirmware } from '../../agent/hardware/firmware-heat.ts';
import { readPowerModes } from '../../agent/hardware/power-mode.ts';
import { openPowerMeter } from '../../agent/hardware/power-meter.ts';
import type { PowerMeter } from '../../agent/hardware/power-sources.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import { startTegrastats } from '../../agent/hardware/tegrastats-stream.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgefit-tools-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tool(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const LINE = 'RAM 1/2MB (lfb 1x4MB) CPU [1%@729] GR3D_FREQ 63%@[621] cpu@52C VDD_SOC 200mW/200mW';
const LIMIT_MS = 20_000;

/** Until the meter has a reading that fits; the test's own limit ends it otherwise. */
async function until(meter: PowerMeter | null, milliwatts: number) {
  for (;;) {
    const reading = (await meter?.read()) ?? null;
    if (reading !== null && 'milliwatts' in reading && reading.milliwatts === milliwatts) return;
    await sleep(20);
  }
}

describe('tegrastats', () => {
  test(
    'its lines are followed, and it ends with the meter',
    async () => {
      const pid = join(folder, 'pid');
      const path = tool(
        'tegrastats',
        `echo $$ > ${pid}; echo "warning: not root"; for mw in 5000 7000; do echo "${LINE} VDD_IN \${mw}mW/1mW"; sleep 0.3; done; exec sleep 60`,
      );
      const { meter, gpu, close } = await openPowerMeter({ tegrastats: [path] });
      expect(gpu?.()).toEqual({ frequencyHz: 621_000_000, loadShare: 0.63 });
      expect(meter?.source).toBe('tegrastats VDD_IN');
      await until(meter, 5000);
      await until(meter, 7000);
      const first = await meter?.read();
      // The same line again: the same reading, so that it counts once.
      expect(await meter?.read()).toEqual(first);
      close();
      // The shell has become the sleep that it ended with.
      const child = Number(readFileSync(pid, 'utf8'));
      while (isRunning(child)) await sleep(20);
    },
    LIMIT_MS,
  );

  test(
    'one that ends says nothing more',
    async () => {
      const path = tool('short', `echo "${LINE}"; sleep 0.2`);
      const stream = await startTegrastats(await openTree(undefined), [path]);
      expect(stream?.last()?.line.gpuLoadShare).toBe(0.63);
      while (stream?.last() !== null) await sleep(20);
    },
    LIMIT_MS,
  );

  test('one that fails is no meter', async () => {
    const tree = await openTree(undefined);
    await expect(startTegrastats(tree, [tool('fails', 'exit 1')])).resolves.toBeNull();
    await expect(startTegrastats(tree, [join(folder, 'missing')])).resolves.toBeNull();
  });
});

describe('the power chip of a Pi 5', () => {
  test('the sum of its rails; asked once a second at most, unless it must be fresh', async () => {
    const asked = join(folder, 'asked');
    const path = tool(
      'vcgencmd',
      `[ "$1" = pmic_read_adc ] || exit 1; echo x >> ${asked}\nprintf ' VDD_CORE_A current(7)=2.00000000A\\n VDD_CORE_V volt(15)=0.75000000V\\n'`,
    );
    const { meter } = await openPowerMeter({ vcgencmd: [path], tegrastats: [] });
    const reading = await meter?.read();
    expect(reading).toMatchObject({ milliwatts: 1500 });
    expect(await meter?.read()).toEqual(reading);
    // Once to see whether it is there, and once for both readings.
    expect(readFileSync(asked, 'utf8')).toBe('x\nx\n');
    expect(await meter?.read(true)).not.toEqual(reading);
    expect(meter?.source).toContain('Pi 5');
  });

  test('an older board does not know the question: no meter of that kind', async () => {
    const path = tool('old', `echo 'error=1 error_msg="Command not registered"'`);
    const { meter } = await openPowerMeter({ vcgencmd: [path], tegrastats: [] });
    expect(meter?.source ?? '').not.toContain('Pi 5');
  });
});

test('a Pi without thermal zones: the firmware tells temperature and clock', async () => {
  const path = tool(
    'firmware',
    `case "$1 $2" in 'measure_temp ') echo "temp=61.2'C";; 'measure_clock arm') echo 'frequency(48)=1500398464';; *) exit 1;; esac`,
  );
  const ask = await watchFirmware(await openTree(undefined), [path]);
  await expect(ask()).resolves.toEqual({ celsius: 61.2, frequencyHz: 1_500_398_464 });
  const mute = await watchFirmware(await openTree(undefined), [tool('mute', 'exit 255')]);
  await expect(mute()).resolves.toEqual({ celsius: null, frequencyHz: null });
});

describe('nvpmodel', () => {
  test('the warning goes to stderr, the name is taken', async () => {
    const reading = startReading(await openTree(undefined));
    const path = tool(
      'nvpmodel',
      `echo "NVPM WARN: fan mode is not set!" >&2; echo "NV Power Mode: MAXN"; echo 0`,
    );
    await expect(readPowerModes(reading, [path])).resolves.toMatchObject({
      current: 'MAXN',
      source: path,
    });
  });

  test('a refusal is unknown with its reason', async () => {
    const reading = startReading(await openTree(undefined));
    await expect(readPowerModes(reading, [tool('refuses', 'exit 3')])).resolves.toMatchObject({
      current: null,
      why: expect.stringContaining('refuses -q'),
    });
  });
});
