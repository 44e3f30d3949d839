import { afterAll, describe, expect, test } from '@jest/globals';
import { parseNetDev } from '../../agent/hardware/network.ts';
import { parsePressure } from '../../agent/hardware/pressure.ts';
import { openHostSampler } from '../../agent/telemetry/host.ts';
import { openSelfSampler } from '../../agent/telemetry/self.ts';
import { makeSysroot, meminfo, putFile, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

const NET = [
  'Inter-|   Receive                                                |  Transmit',
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
  '    lo: 9999999     100    0    0    0     0          0         0  9999999     100    0    0    0     0       0          0',
  '  eth0: 1000        10    0    0    0     0          0         0     300       3    0    0    0     0       0          0',
  ' wlan0:2000        10    0    0    0     0          0         0     400       3    0    0    0     0       0          0',
  'docker0: 7000        10    0    0    0     0          0         0     800       3    0    0    0     0       0          0',
  '',
].join('\n');
const stat = (busy: number, idle: number) => `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\nintr 1\n`;
const psi = (percent: number) =>
  `some avg10=${percent.toFixed(2)} avg60=0.87 avg300=0.29 total=58920\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;

/** A board with an Edge TPU, a power monitor of NVIDIA's kind, and a throttling firmware. */
function board() {
  const hwmon = 'sys/class/hwmon/hwmon0';
  return makeSysroot({
    'proc/stat': stat(100, 900),
    'proc/meminfo': meminfo({ total: 1_000_000, available: 400_000 }),
    'proc/net/dev': NET,
    'proc/pressure/cpu': psi(12.5),
    'proc/pressure/memory': psi(0),
    'proc/pressure/io': psi(1),
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'sys/class/thermal/thermal_zone0/temp': '51234\n',
    'sys/class/apex/apex_0/temp': '63000\n',
    'sys/devices/platform/soc/soc:firmware/get_throttled': '0\n',
    [`${hwmon}/name`]: 'ina3221\n',
    [`${hwmon}/in1_label`]: 'VDD_IN\n',
    [`${hwmon}/in1_input`]: '5000\n',
    [`${hwmon}/curr1_input`]: '900\n',
  });
}

describe('the host sampler', () => {
  test('reads a board, and what has happened since', async () => {
    const root = board();
    const sampler = await openHostSampler({ state: root, root });
    const first = await sampler.read();
    expect(first).toMatchObject({
      cpuRatio: null,
      memoryTotalBytes: 1_024_000_000,
      memoryAvailableBytes: 409_600_000,
      cpuPressureRatio: 0.125,
      memoryPressureRatio: 0,
      ioPressureRatio: 0.01,
      socCelsius: 51.234,
      acceleratorCelsius: 63,
      throttled: 0,
      powerWatts: 4.5,
      energyJoules: 0,
      networkReceivedBytes: 3000,
      networkSentBytes: 700,
    });
    expect(first['diskTotalBytes']).toBeGreaterThan(first['diskFreeBytes'] ?? Infinity);
    // 30 of 120 ticks were busy.
    putFile(root, 'proc/stat', stat(130, 990));
    putFile(root, 'sys/devices/platform/soc/soc:firmware/get_throttled', '50005\n');
    expect(await sampler.read()).toMatchObject({ cpuRatio: 0.25, throttled: 1 });
  });

  test('knows nothing of a machine that shows nothing, and says so quietly', async () => {
    const root = makeSysroot({});
    const values = await (await openHostSampler({ state: '/nowhere', root })).read();
    expect(Object.values(values).filter((value) => value !== null)).toEqual([]);
  });

  test('loses only what cannot be read any more', async () => {
    const root = board();
    const sampler = await openHostSampler({ state: root, root });
    putFile(root, 'sys/class/apex/apex_0/temp', '-89700\n');
    putFile(root, 'proc/net/dev', 'nonsense\n');
    const values = await sampler.read();
    expect(values).toMatchObject({ acceleratorCelsius: null, networkSentBytes: null });
    expect(values['socCelsius']).toBe(51.234);
  });

  test('samples the machine that it runs on', async () => {
    const sampler = await openHostSampler({ state: '/tmp' });
    await sampler.read();
    const values = await sampler.read();
    expect(values['memoryTotalBytes']).toBeGreaterThan(0);
    expect(values['diskFreeBytes']).toBeGreaterThan(0);
  });
});

describe('parsers', () => {
  test.each(['', 'some avg10=101.00 avg60', 'full avg10=1.00 avg60=0'])('refuse %j', (text) => {
    expect(() => parsePressure(text)).toThrow('expected');
  });
  test('refuse a device without numbers', () => {
    expect(() => parseNetDev(NET.replace('1000 ', 'abcd '))).toThrow('network device');
  });
});

test('the agent samples itself', async () => {
  const sampler = openSelfSampler();
  const jobs = new Map([['rolled_back', 2]] as const);
  const counts = { outbox: null, reconnects: 3, offlineSeconds: 7, refusedMessages: null, jobs };
  const values = await sampler.read(counts);
  sampler.close();
  expect(values).toMatchObject({
    outboxBytes: null,
    reconnects: 3,
    offlineSeconds: 7,
    refusedMessages: null,
    jobsRolledBack: 2,
    jobsApplied: 0,
  });
  expect(values['rssBytes']).toBeGreaterThan(10_000_000);
  expect(values['pssBytes']).toBeLessThanOrEqual(values['rssBytes'] ?? 0);
  expect(values['loopDelayP99Ms']).toBeGreaterThanOrEqual(0);
});
