import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ConfigError, renderProblem } from '../../agent/config/error.ts';
import { loadConfig } from '../../agent/config/load.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileWith(text: string): string {
  const file = join(folder, 'agent.yaml');
  writeFileSync(file, text);
  return file;
}

/** The problems of a text, with FILE for its path; none when it is in order. */
async function problemsOf(text: string, env: Record<string, string> = {}): Promise<string[]> {
  const file = fileWith(text);
  try {
    await loadConfig({ file, env });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => renderProblem(problem).replaceAll(file, 'FILE'));
  }
}

describe('a configuration', () => {
  test('that is empty has every default', async () => {
    const { config, origins } = await loadConfig({ file: fileWith('# nothing yet\n'), env: {} });
    expect(config).toMatchObject({ tags: [], logLevel: 'info', mqtt: { keepAliveSeconds: 30 } });
    expect(config.mqtt.url).toBeUndefined();
    expect(origins.find(({ key }) => key === 'logLevel')?.from).toBe('default');
  });

  test('says of each value where it came from', async () => {
    const file = fileWith('deviceId: pi-7\nmqtt:\n  # the hub\n  url: mqtt://hub\n');
    const env = { EDGEFIT_MQTT_KEEP_ALIVE_SECONDS: '60', EDGEFIT_TAGS: 'a, b' };
    const { config, origins } = await loadConfig({ file, env });
    expect(config.mqtt.keepAliveSeconds).toBe(60);
    expect(config.tags).toEqual(['a', 'b']);
    const from = Object.fromEntries(origins.map(({ key, from: origin }) => [key, origin]));
    expect(from).toMatchObject({
      deviceId: `${file}:1`,
      'mqtt.url': `${file}:4`,
      'mqtt.keepAliveSeconds': 'env EDGEFIT_MQTT_KEEP_ALIVE_SECONDS',
      'mqtt.version': 'default',
    });
  });

  test('may leave the value of a key out', async () => {
    expect(await problemsOf('mqtt:\n  # url: mqtt://hub\nlogLevel:\n')).toEqual([]);
  });
});

const BAD: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'a mistyped key',
    'mqtt:\n  ulr: mqtt://hub\n',
    ['FILE:2:3: mqtt.ulr: there is no such key; did you mean url?'],
  ],
  [
    'a key in the wrong place',
    'url: mqtt://hub\n',
    ['FILE:1:1: url: there is no such key here; it is mqtt.url'],
  ],
  [
    'a password',
    'mqtt:\n  url: mqtt://a:secret@hub\n  password: secret\n',
    ['FILE:3:3: mqtt.password: there is no such key; did you mean passwordFile?'],
  ],
  [
    'a password in the URL',
    'mqtt:\n  url: mqtt://a:secret@hub\n',
    ['FILE:2:3: mqtt.url: a password does not belong into the configuration: use passwordFile'],
  ],
  [
    'values of the wrong kind, all of them',
    'logLevel: loud\nmqtt:\n  keepAliveSeconds: soon\n  reconnectMaxSeconds: -1\ntags: one\n',
    [
      'FILE:5:1: tags: it must be a list, not "one"',
      'FILE:1:1: logLevel: it must be one of trace, debug, info, warn, error, not "loud"',
      'FILE:3:3: mqtt.keepAliveSeconds: it must be a number, not "soon"',
      'FILE:4:3: mqtt.reconnectMaxSeconds: it must be at least 0.01, not -1',
    ],
  ],
  [
    'an item of a list',
    'tags:\n  - ok\n  - no good\n',
    ['FILE:3:5: tags.1: use 1 to 64 of A-Z a-z 0-9 . _ and -, not "no good"'],
  ],
  [
    'a scalar for a section',
    'mqtt: hub\n',
    ['FILE:1:1: mqtt: it must be keys below it, not "hub"'],
  ],
  ['a list as a whole', '- a\n', ['FILE:1:1: it must be keys below it']],
  [
    'an unknown scheme',
    'mqtt:\n  url: http://hub\n',
    [
      'FILE:2:3: mqtt.url: "http://hub": unknown scheme: use one of mqtt:// tcp:// mqtts:// ssl:// ws:// wss://',
    ],
  ],
  [
    'TLS files without TLS',
    'mqtt:\n  url: mqtt://hub\n  caFile: ca.pem\n',
    ['FILE:3:3: mqtt.caFile: mqtt://hub:1883 is without TLS: use mqtts:// with it'],
  ],
  [
    'a certificate without its key',
    'mqtt:\n  certFile: c.pem\n',
    ['FILE:2:3: mqtt.certFile: give its key too, with keyFile'],
  ],
  [
    'waits that exclude each other',
    'mqtt:\n  reconnectMinSeconds: 9\n  reconnectMaxSeconds: 3\n',
    ['FILE:3:3: mqtt.reconnectMaxSeconds: it is below reconnectMinSeconds'],
  ],
  [
    'schedules that are none',
    'telemetry:\n  schedule: "61 * * * *"\n  benchSchedule: nightly\n  driftSchedule: off\n',
    [
      'FILE:2:3: telemetry.schedule: "61 * * * *" is no schedule (minute 61): use "minute hour day month weekday", with seconds before them if you like, or off',
      'FILE:3:3: telemetry.benchSchedule: "nightly" is no schedule: use "minute hour day month weekday", with seconds before them if you like, or off',
    ],
  ],
  [
    'a date that never comes',
    'telemetry:\n  driftSchedule: "0 4 30 2 *"\n',
    [
      expect.stringMatching(
        /^FILE:2:3: telemetry.driftSchedule: "0 4 30 2 \*" is no schedule/,
      ) as unknown as string,
    ],
  ],
  [
    'a range that would fill the memory',
    'telemetry:\n  schedule: "1-999999999 * * * *"\n',
    [
      'FILE:2:3: telemetry.schedule: "1-999999999 * * * *" is no schedule (number 999999999): use "minute hour day month weekday", with seconds before them if you like, or off',
    ],
  ],
  [
    'addresses that are none',
    'metrics:\n  listen: "9464"\n',
    ['FILE:2:3: metrics.listen: use HOST:PORT, not "9464"'],
  ],
  [
    'a port that is none',
    'metrics:\n  listen: localhost:70000\n',
    ['FILE:2:3: metrics.listen: use HOST:PORT, not "localhost:70000"'],
  ],
  ['a key twice', 'tags: []\ntags: []\n', ['FILE:2:1: Map keys must be unique']],
  ['two documents', 'tags: []\n---\ntags: []\n', ['FILE:2:1: a second document: use only one']],
];

test('what is on or off is so in the file and in the environment', async () => {
  const of = async (value: string) => {
    const { config } = await loadConfig({
      file: fileWith('calibration:\n  record: true\n'),
      env: { EDGEFIT_CALIBRATION_RECORD: value },
    });
    return config.calibration.record;
  };
  expect([await of(''), await of('false'), await of('true')]).toEqual([true, false, true]);
  await expect(of('yes')).rejects.toThrow('EDGEFIT_CALIBRATION_RECORD');
});

describe('refused, with file, line and key:', () => {
  test.each(BAD)('%s', async (_name, text, problems) => {
    expect(await problemsOf(text)).toEqual(problems);
  });

  test('broken YAML', async () => {
    const [first] = await problemsOf('tags: [a\nmqtt: {\n');
    expect(first).toMatch(/^FILE:[23]:\d+: /);
  });

  test('a file that is none of ours', async () => {
    expect(await problemsOf('# '.repeat(200_000))).toEqual([
      'FILE: larger than 262144 bytes: not a configuration',
    ]);
  });

  test('aliases that multiply', async () => {
    const level = (name: string, of: string) => `${name}: &${name} [${`*${of},`.repeat(9)}]\n`;
    const text = `a: &a [x]\n${level('b', 'a')}${level('c', 'b')}${level('d', 'c')}`;
    expect(await problemsOf(text)).toEqual(['FILE: too many aliases (*name)']);
  });

  test('a file that is not there', async () => {
    await expect(loadConfig({ file: '/nowhere/agent.yaml', env: {} })).rejects.toThrow(
      '/nowhere/agent.yaml: cannot read /nowhere/agent.yaml: no such file or folder',
    );
  });

  test('a variable, by its name', async () => {
    const env = { EDGEFIT_MQTT_KEEP_ALIVE_SECONDS: 'soon' };
    expect(await problemsOf('tags: []\n', env)).toEqual([
      'EDGEFIT_MQTT_KEEP_ALIVE_SECONDS: mqtt.keepAliveSeconds: it must be a number, not "soon"',
    ]);
  });
});
