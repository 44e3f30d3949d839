import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configCheckSchema, configShowSchema } from '../../agent/contracts/config-report.ts';
import { enrolledSchema } from '../../agent/contracts/results.ts';
import { run } from './support.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-config-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const env = () => ({ EDGEFIT_STATE_DIR: join(folder, 'state') });

describe('agent config check', () => {
  test('lists everything that is wrong and ends with 2', async () => {
    const file = write('bad.yaml', 'tags: [a b]\nmqtt:\n  ulr: x\n');
    const ran = await run(['config', 'check', '--config', file], { env: env() });
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err.split('\n')).toEqual([
      `agent: ${file}:1:8: tags.0: use 1 to 64 of A-Z a-z 0-9 . _ and -, not "a b"`,
      `agent: ${file}:2:3: mqtt.ulr: there is no such key; did you mean url?`.replace(':2:', ':3:'),
      '',
    ]);
    const json = await run(['config', 'check', '--json', '--config', file], { env: env() });
    expect(json.code).toBe(2);
    const report = configCheckSchema.parse(JSON.parse(json.out));
    expect(report.ok).toBe(false);
    expect(report.problems.map(({ key, line }) => [key, line])).toEqual([
      ['tags.0', 1],
      ['mqtt.ulr', 3],
    ]);
  });

  test('looks at the files that the configuration names, too', async () => {
    const yaml = 'mqtt:\n  url: mqtts://hub\n  user: a\n  passwordFile: /nowhere/password\n';
    const file = write('files.yaml', yaml);
    const ran = await run(['config', 'check', '--config', file], { env: env() });
    expect(ran.code).toBe(2);
    expect(ran.err).toBe(
      `agent: ${file}:4:3: mqtt.passwordFile: cannot read /nowhere/password: no such file or folder\n`,
    );
  });

  test('in order', async () => {
    const file = write('good.yaml', 'mqtt:\n  url: mqtt://hub\n');
    const ran = await run(['config', 'check', '--config', file], { env: env() });
    expect(ran).toMatchObject({ code: 0, out: `${file}: in order\n`, err: '' });
  });
});

describe('agent config show', () => {
  test('says what holds and where it comes from, and no secret', async () => {
    const credentials = join(folder, 'credentials');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(credentials);
    write('credentials/mqtt-password', 'tops3cret\n');
    const file = write('show.yaml', 'deviceId: pi-7\nmqtt:\n  url: mqtt://hub\n  user: a\n');
    const situation = {
      env: { ...env(), CREDENTIALS_DIRECTORY: credentials, EDGEFIT_LOG_LEVEL: 'debug' },
    };
    const ran = await run(['config', 'show', '--config', file, '--json'], situation);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).not.toContain('tops3cret');
    const { values } = configShowSchema.parse(JSON.parse(ran.out));
    const from = Object.fromEntries(values.map((one) => [one.key, [one.value, one.from]]));
    expect(from).toMatchObject({
      deviceId: ['pi-7', `${file}:1`],
      logLevel: ['debug', 'env EDGEFIT_LOG_LEVEL'],
      'mqtt.version': ['auto', 'default'],
      'mqtt.passwordFile': [join(credentials, 'mqtt-password'), 'credential mqtt-password'],
      stateDir: [join(folder, 'state'), 'env EDGEFIT_STATE_DIR'],
    });
    const text = await run(['config', 'show', '--config', file], situation);
    expect(text.out).toMatch(/^deviceId: "pi-7" +# .*show\.yaml:1$/m);
    expect(text.out).not.toContain('tops3cret');
  });

  test('a password in the environment is not shown either', async () => {
    const file = write('env.yaml', 'mqtt:\n  url: mqtt://hub\n  user: a\n');
    const ran = await run(['config', 'show', '--config', file], {
      env: { ...env(), EDGEFIT_MQTT_PASSWORD: 'tops3cret' },
    });
    expect(ran.out).toContain('# env EDGEFIT_MQTT_PASSWORD');
    expect(ran.out).not.toContain('tops3cret');
  });
});

describe('agent enrol', () => {
  test('prints the request to sign, and what is still to do', async () => {
    const state = { EDGEFIT_STATE_DIR: join(folder, 'enrolled') };
    const ran = await run(['enrol', '--device-id', 'pi-7'], { env: state });
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('enrolled as pi-7\n');
    expect(ran.out).toContain('no root of trust yet');
    expect(ran.out).toContain('-----BEGIN CERTIFICATE REQUEST-----');
    const again = await run(['enrol', '--device-id', 'pi-7', '--json'], { env: state });
    expect(enrolledSchema.parse(JSON.parse(again.out))).toMatchObject({
      written: [],
      hasCertificate: false,
    });
    const other = await run(['enrol', '--device-id', 'pi-8'], { env: state });
    expect(other).toMatchObject({ code: 2, out: '' });
    expect(other.err).toContain('--force replaces that identity');
  });

  test.each([
    [['--password-file', 'x'], '--password-file needs --user'],
    [['--user', 'a', '--cert', 'x'], 'give either --user or --cert'],
    [['--device-id', 'a b'], 'is no device id'],
    [['--root', '/nowhere.json'], 'cannot read /nowhere.json'],
  ])('refused: %j', async (args, why) => {
    const ran = await run(['enrol', ...args], { env: env() });
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toContain(why);
  });
});
