import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import type { SampleRange } from '../../agent/calibration/samples/open.ts';
import { npy } from './make-arrays.ts';
import { all, model, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const two = model({ x: ['float32', [1, 2]], y: ['int64', [1]] });

function record(value: number): Buffer {
  return Buffer.concat([
    npy('<f4', [1, 2], Float32Array.of(value, value + 1)),
    npy('<i8', [1], BigInt64Array.of(BigInt(value))),
  ]);
}

function file(name: string, ...content: Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(content));
  return path;
}

function run(command: string, range: SampleRange = {}, recordTimeoutMs = 20_000) {
  return openSamples({ command, recordTimeoutMs }, {}, two, range);
}

const three = file('three', record(1), record(10), record(100));

test('reads records until the output ends, again and again', async () => {
  const source = await run(`cat ${three}`);
  expect([source.count, source.labelled, source.describe]).toEqual([
    null,
    false,
    `samples from the command cat ${three}`,
  ]);
  const samples = await all(source);
  expect(samples.map(({ feeds }) => feeds['x'])).toEqual([
    { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, 2) },
    { dtype: 'float32', shape: [1, 2], data: Float32Array.of(10, 11) },
    { dtype: 'float32', shape: [1, 2], data: Float32Array.of(100, 101) },
  ]);
  expect(samples[1]?.feeds['y']).toEqual({
    dtype: 'int64',
    shape: [1],
    data: BigInt64Array.of(10n),
  });
  expect(await all(source)).toHaveLength(3);
});

test('a range skips samples and stops the program', async () => {
  const pid = join(folder, 'pid');
  const source = await run(`echo $$ > ${pid}; while cat ${three}; do :; done`, { from: 2, to: 5 });
  expect(source.count).toBe(3);
  const samples = await all(source);
  expect(samples.map(({ feeds }) => feeds['x']?.data[0])).toEqual([100, 1, 10]);
  expect(() => process.kill(Number(readFileSync(pid, 'utf8')), 0)).toThrow('ESRCH');
});

test.each([
  ['exit 3', 'exit code 3'],
  [`cat ${three}; echo 'no camera' >&2; exit 1`, 'exit code 1: no camera'],
  ['true', 'there are no samples from the command true'],
  ['echo hello world', 'sample 0, input x: not a .npy array'],
  [`head -c 300 ${three}`, 'truncated: ends at offset 300'],
  [`head -c 136 ${three}`, 'input y: the output ends before it'],
  ['edgefit-no-such-program', 'exit code 127'],
])('the command %j', async (command, message) => {
  const source = await run(command);
  await expect(all(source)).rejects.toThrow(message);
  await expect(all(source)).rejects.toMatchObject({ name: 'SampleError', kind: 'input' });
});

test('asking for more samples than come is an error', async () => {
  await expect(all(await run(`cat ${three}`, { to: 4 }))).rejects.toThrow('only 3, 4 were asked');
});

test('a program that stays silent is stopped', async () => {
  const source = await run('sleep 60', {}, 200);
  await expect(all(source)).rejects.toThrow('nothing came within 0.2 s');
});

test('an abort stops the program at once', async () => {
  const started = join(folder, 'started');
  const control = new AbortController();
  const source = await run(`touch ${started}; sleep 60`, { signal: control.signal });
  const stop = async () => {
    for (let i = 0; i < 200 && !existsSync(started); i += 1) await sleep(20);
    control.abort();
  };
  const stopping = stop();
  await expect(all(source)).rejects.toMatchObject({ name: 'AbortError' });
  await stopping;
});
