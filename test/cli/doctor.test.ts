import { expect, test } from '@jest/globals';
import { checksFor, nodeCheck } from '../../agent/cli/doctor-checks.ts';
import { runChecks } from '../../agent/cli/doctor.ts';
import { doctorSchema } from '../../agent/contracts/doctor.ts';
import type { Check, Finding } from '../../agent/util/check.ts';
import { vendoredLibrary } from '../../agent/runtime/tflite/places.ts';
import { run } from './support.ts';

/** Each check starts a child process. */
const LIMIT_MS = 60_000;
const VARIABLE = 'EDGEFIT_TFLITE_LIBRARY';

async function doctor(library: string, ...args: readonly string[]) {
  process.env[VARIABLE] = library;
  try {
    return await run(['doctor', ...args]);
  } finally {
    delete process.env[VARIABLE];
  }
}

test(
  'names the libraries in use and their versions',
  async () => {
    const { code, out, err } = await doctor(vendoredLibrary(), '--json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const report = doctorSchema.parse(JSON.parse(out));
    expect(report.healthy).toBe(true);
    const states = report.checks.map(({ id, state }) => `${id} ${state}`);
    expect(states.slice(0, 4)).toEqual(['node ok', 'onnxruntime ok', 'koffi ok', 'tflite ok']);
    const ids = report.checks.map(({ id }) => id);
    const machine = ['power', 'cooling', 'swap', 'clock', 'disk-space', 'disk-wear'];
    expect(ids).toEqual(expect.arrayContaining(machine));
    expect(ids).not.toContain('broker');
    expect(report.checks.find(({ id }) => id === 'tflite')?.facts).toEqual({
      version: '2.9.0',
      origin: 'configured',
      path: vendoredLibrary(),
    });
  },
  LIMIT_MS,
);

test(
  'what is missing is a failure, with the way to mend it',
  async () => {
    const { code, out } = await doctor('/no/such/library.so');
    expect(code).toBe(1);
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
    const flat = out.replaceAll(/\s+/g, ' ');
    expect(flat).toContain('ERROR TensorFlow Lite, for TFLite models');
    expect(flat).toContain('no library: /no/such/library.so: no such file');
    expect(flat).toContain('To mend it: npm run fetch-tflite');
    expect(flat).toContain('Something essential is missing');
  },
  LIMIT_MS,
);

test('a check whose ground is missing is skipped, and the others are made', async () => {
  const check = (id: string, finding: Finding, dependsOn?: string): Check => ({
    id,
    title: id,
    severity: 'optional',
    run: async () => finding,
    ...(dependsOn !== undefined && { dependsOn }),
  });
  const good = { ok: true, found: 'here' };
  const results = await runChecks(
    [
      check('ground', { ok: false, found: 'gone', mend: 'dig' }),
      check('house', good, 'ground'),
      check('roof', good, 'house'),
      check('garden', { ...good, facts: { trees: '3' } }),
    ],
    new AbortController().signal,
  );
  expect(results.map(({ id, state, found, mend }) => [id, state, found, mend])).toEqual([
    ['ground', 'failed', 'gone', 'dig'],
    ['house', 'skipped', 'needs ground, which is not in order', null],
    ['roof', 'skipped', 'needs house, which is not in order', null],
    ['garden', 'ok', 'here', null],
  ]);
  expect(results[3]?.facts).toEqual({ trees: '3' });
  expect(results.map(({ level }) => level)).toEqual(['warning', 'skipped', 'skipped', 'ok']);
});

test('a check that breaks is a failed one, and the others are made', async () => {
  const check = (id: string, severity: Check['severity'], action: Check['run']): Check => ({
    id,
    title: id,
    severity,
    run: action,
  });
  const results = await runChecks(
    [
      check('broken', 'essential', async () => {
        throw new Error('EIO');
      }),
      check('next', 'optional', async () => ({ ok: true, found: 'here' })),
    ],
    new AbortController().signal,
  );
  expect(results.map(({ id, level, found }) => [id, level, found])).toEqual([
    ['broken', 'error', 'the check itself failed: EIO'],
    ['next', 'ok', 'here'],
  ]);
});

test.each([
  ['20.18.3', false],
  ['18.20.0', false],
  ['20.19.0', true],
  ['22.1.0', true],
])('Node.js %s', async (version, ok) => {
  const found = await nodeCheck(version).run(new AbortController().signal);
  expect(found).toMatchObject({ ok, facts: { version } });
});

test('a trtexec that is named is asked, too; one that is not there is a warning', async () => {
  const io = { stdout: { write: () => true }, stderr: { write: () => true } };
  const env = { EDGEFIT_TRTEXEC: '/nowhere/trtexec' };
  const all = await checksFor({}, { io: { ...io, env } });
  const check = all.find(({ id }) => id === 'trtexec');
  expect(check?.severity).toBe('optional');
  const finding = await check?.run(new AbortController().signal);
  expect(finding).toMatchObject({ ok: false, mend: 'mend or unset it' });
});
