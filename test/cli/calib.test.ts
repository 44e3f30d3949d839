import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { npyHeader } from '../../agent/calibration/samples/npy.ts';
import { calibClearSchema, calibListSchema } from '../../agent/contracts/recorded.ts';
import { loadConfig } from '../../agent/config/load.ts';
import { openLog } from '../../agent/daemon/log.ts';
import { startRecording } from '../../agent/daemon/recording.ts';
import { run } from './support.ts';

let folder = '';
let stop: () => Promise<void> = async () => undefined;
const at = (name: string) => join(folder, name);
const env = () => ({ EDGEFIT_STATE_DIR: at('state') });
const calib = (...args: readonly string[]) => run(['calib', ...args], { env: env() });

function writeNpy(name: string, values: readonly number[]): string {
  const data = Buffer.from(Float32Array.from(values).buffer);
  writeFileSync(at(name), Buffer.concat([npyHeader('float32', [values.length / 2, 2]), data]));
  return at(name);
}

/** A state folder with a model that was fitted, and one that an older agent has fitted. */
function install(model: string, record: object): void {
  const release = at(`state/models/${model}/releases/d1`);
  mkdirSync(release, { recursive: true });
  symlinkSync('releases/d1', at(`state/models/${model}/current`));
  writeFileSync(join(release, 'decision.json'), JSON.stringify(record));
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-calib-'));
  install('kws', { inputs: [{ name: 'x', dtype: 'float32', shape: [1, 2] }] });
  install('old', { chosen: {} });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(async () => {
  await stop();
  stop = async () => undefined;
});

async function start(): Promise<void> {
  const { config } = await loadConfig({
    env: { ...env(), EDGEFIT_CALIBRATION_RECORD: 'true', EDGEFIT_CALIBRATION_MAX_PER_SECOND: '50' },
  });
  const folders = { state: at('state'), runtime: at('state/run') };
  stop = await startRecording({ config, folders, log: openLog('error') });
}

describe('agent calib', () => {
  test('hands over what files hold, as fast as it is taken', async () => {
    await start();
    const many = writeNpy(
      'many.npy',
      Array.from({ length: 120 }, (_, n) => n),
    );
    const ran = await calib('record', 'kws', many);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toBe('kws: 60 handed over, 60 kept; 60 are held of 60 seen\n');
    const few = await calib('record', 'kws', many, '--limit', '3');
    expect(few.out).toContain('3 handed over');
    const { sets } = calibListSchema.parse(JSON.parse((await calib('ls', '--json')).out));
    expect(sets).toMatchObject([{ model: 'kws', samples: 63, seen: 63 }]);
    expect((await calib('ls')).out).toMatch(/^kws: 63 samples, \S+ \S+, of 63 seen since /);
    const cleared = await calib('clear', '--all', '--json');
    expect(calibClearSchema.parse(JSON.parse(cleared.out)).removed).toEqual(['kws']);
    expect((await calib('ls')).out).toBe(`nothing is recorded in ${at('state/recorded')}\n`);
    expect((await calib('clear', 'kws')).out).toBe('removed: nothing\n');
  });

  test('takes what a command captures', async () => {
    await start();
    const record = writeNpy('record.npy', [1, 2]);
    const ran = await calib('record', 'kws', '--command', `cat ${record} ${record}`);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toContain('2 handed over, 2 kept');
  });

  test('says in one line what cannot be', async () => {
    const file = writeNpy('one.npy', [1, 2]);
    const alone = await calib('record', 'kws', file);
    expect(alone).toMatchObject({ code: 1, out: '' });
    expect(alone.err).toMatch(
      /nobody listens: set calibration.record: true and start agent run\n$/,
    );
    await start();
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [['record', 'other', file], 1, 'UNKNOWN_MODEL'],
      [['record', '..', file], 2, 'BAD_HEADER'],
      [['record', 'a/b', file], 2, 'BAD_HEADER'],
      [['record', 'old', file], 2, 'fit it again'],
      [['record', 'kws', writeNpy('nan.npy', [1, NaN])], 2, 'not a finite number'],
      [['record', 'kws', at('nothing.npy')], 2, 'no such file'],
      [['record', 'kws'], 2, 'give either samples or --command'],
      [['clear'], 2, 'name a model, or give --all'],
      [['clear', '..'], 2, 'cannot name a model'],
    ];
    for (const [args, code, text] of cases) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const ran = await calib(...args);
      expect([args, ran.code, ran.out]).toEqual([args, code, '']);
      expect(ran.err).toContain(text);
      expect(ran.err.trim().split('\n')).toHaveLength(1);
    }
  });
});
