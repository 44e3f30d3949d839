import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RecordClient } from '../../../agent/calibration/recording/client.ts';
import { RecordError } from '../../../agent/calibration/recording/error.ts';
import { handOver } from '../../../agent/calibration/recording/hand-over.ts';
import { clearRecorded } from '../../../agent/calibration/recording/list.ts';
import { Recorder } from '../../../agent/calibration/recording/recorder.ts';
import {
  serveRecorder,
  type RecordServer,
  type RecordServerOptions,
} from '../../../agent/calibration/recording/server.ts';
import { openNpz } from '../../../agent/calibration/samples/arrays.ts';
import type { ModelInput } from '../../../agent/contracts/recorded.ts';
import { npy, npz } from '../make-arrays.ts';

const INPUTS: readonly ModelInput[] = [
  { name: 'x', dtype: 'float32', shape: [1, 4] },
  { name: 'n', dtype: 'int64', shape: ['batch', 1] },
];
const PICTURES: readonly ModelInput[] = [
  {
    name: 'image',
    dtype: 'float32',
    shape: [1, 3, 8, 8],
    image: {
      width: 8,
      height: 8,
      color: 'rgb',
      layout: 'nchw',
      mean: [0],
      std: [1],
      resize: 'stretch',
    },
  },
];

let folder = '';
const never = new AbortController().signal;
const servers: RecordServer[] = [];
let release = 'r1';
let nowMs = 0;
let refused: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-sock-'));
  release = 'r1';
  nowMs = 0;
  refused = [];
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function serve(
  changed: Partial<RecordServerOptions> = {},
  maxPerSecond = 1000,
  maxBytes = 10_000,
) {
  const path = join(folder, 'run', 'record.sock');
  const recorder = new Recorder({
    folder: join(folder, 'recorded'),
    installed: async (model) => {
      if (model === 'kws') return { release, inputs: INPUTS };
      if (model === 'eyes') return { release, inputs: PICTURES };
      throw new RecordError('UNKNOWN_MODEL', `no model ${model} is installed here`);
    },
    limits: { maxSamples: 4, maxBytes, maxPerSecond },
    random: () => 0,
    now: () => new Date('2026-06-01T00:00:00Z'),
    monotonicMs: () => nowMs,
  });
  const server = await serveRecorder({
    path,
    recorder,
    maxSampleBytes: 4096,
    onRefused: (code) => refused.push(code),
    ...changed,
  });
  servers.push(server);
  return path;
}

/** A peer that knows nothing but what the documentation says of the protocol. */
async function talk(path: string) {
  const socket = connect(path);
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const answer = async (): Promise<Record<string, unknown>> => {
    const signal = AbortSignal.timeout(5000);
    // oxlint-disable-next-line no-await-in-loop -- until a line is there
    while (!text.includes('\n')) await once(socket, 'data', { signal });
    const end = text.indexOf('\n');
    const line: unknown = JSON.parse(text.slice(0, end));
    text = text.slice(end + 1);
    return typeof line === 'object' && line !== null ? { ...line } : {};
  };
  return { socket, answer };
}

const closed = (socket: Socket) =>
  socket.closed ? null : once(socket, 'close', { signal: AbortSignal.timeout(5000) });

const header = (more: object) => `${JSON.stringify({ model: 'kws', ...more })}\n`;
const X = { name: 'x', dtype: 'float32', shape: [1, 4] };
const N = { name: 'n', dtype: 'int64', shape: [1, 1] };
const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const seven = Buffer.from(BigInt64Array.from([7n]).buffer);
const good = Buffer.concat([Buffer.from(header({ inputs: [X, N] })), floats(1, 2, 3, 4), seven]);

test('samples go through the socket onto the disk, byte by byte', async () => {
  const path = await serve();
  expect(statSync(path).mode & 0o777).toBe(0o660);
  const { socket, answer } = await talk(path);
  // In pieces, as a network stack may cut them.
  for (const byte of good) socket.write(Buffer.from([byte]));
  expect(await answer()).toEqual({ ok: true, kept: true, seen: 1, held: 1 });
  socket.write(Buffer.concat([good, good]));
  expect(await answer()).toMatchObject({ seen: 2 });
  expect(await answer()).toMatchObject({ seen: 3 });
  const arrays = await openNpz(join(folder, 'recorded', 'kws', '000000000000.npz'));
  expect([...arrays.keys()]).toEqual(['x', 'n']);
  const reader = await arrays.get('x')?.open(0);
  expect(await reader?.next()).toEqual(Float32Array.from([1, 2, 3, 4]));
  await reader?.close();
  expect(arrays.get('x')?.header.shape).toEqual([1, 1, 4]);
});

test('a peer that ends its side is still answered, as nc and shells do', async () => {
  const { socket, answer } = await talk(await serve());
  socket.end(good);
  expect(await answer()).toMatchObject({ ok: true, seen: 1 });
  await closed(socket);
});

test('what a model takes can be asked for', async () => {
  const path = await serve();
  const client = await RecordClient.connect(path);
  expect(await client.describe('kws')).toEqual({ inputs: INPUTS, seen: 0, held: 0 });
  await expect(client.describe('nothing')).rejects.toMatchObject({
    code: 'UNKNOWN_MODEL',
    kind: 'failure',
  });
  client.close();
});

const BAD: readonly (readonly [string, string, Buffer])[] = [
  ['UNKNOWN_MODEL', header({ model: 'other', inputs: [X] }), floats(1, 2, 3, 4)],
  ['BAD_INPUTS', header({ inputs: [X] }), floats(1, 2, 3, 4)],
  ['BAD_INPUTS', header({ inputs: [X, X] }), floats(1, 2, 3, 4, 1, 2, 3, 4)],
  [
    'BAD_SHAPE',
    header({ inputs: [{ ...X, shape: [1, 3] }, N] }),
    Buffer.concat([floats(1, 2, 3), seven]),
  ],
  [
    'BAD_DTYPE',
    header({ inputs: [X, { ...N, dtype: 'float64' }] }),
    Buffer.concat([floats(1, 2, 3, 4), Buffer.alloc(8)]),
  ],
  ['NOT_FINITE', header({ inputs: [X, N] }), Buffer.concat([floats(1, NaN, 3, 4), seven])],
  ['NOT_FINITE', header({ inputs: [X, N] }), Buffer.concat([floats(1, 2, Infinity, 4), seven])],
  ['TOO_LARGE', header({ inputs: [{ ...X, shape: [1, 2000] }, N] }), Buffer.alloc(8008)],
];

test('what is wrong with a sample is told by a code, and the next one is heard', async () => {
  const { socket, answer } = await talk(await serve());
  for (const [code, head, bytes] of BAD) {
    socket.write(Buffer.concat([Buffer.from(head), bytes]));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    expect([code, await answer()]).toMatchObject([code, { ok: false, code }]);
  }
  expect(refused).toEqual(BAD.map(([code]) => code));
  socket.write(good);
  expect(await answer()).toEqual({ ok: true, kept: true, seen: 1, held: 1 });
});

test('where the next message begins is unknown, the conversation ends', async () => {
  const path = await serve();
  for (const text of [
    'PUT / HTTP/1.1\r\n\r\n',
    '[]\n',
    '{"model":"../kws"}\n',
    header({ inputs: [{ ...X, shape: [1, -4] }] }),
    header({ inputs: [{ ...X, dtype: 'string' }] }),
    'x'.repeat(70_000),
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { socket, answer } = await talk(path);
    socket.write(text);
    // oxlint-disable-next-line no-await-in-loop -- see above
    expect(await answer()).toMatchObject({ ok: false, code: 'BAD_HEADER' });
    // oxlint-disable-next-line no-await-in-loop -- see above
    await closed(socket);
  }
  const { socket, answer } = await talk(path);
  socket.end(good.subarray(0, good.length - 1));
  expect(await answer()).toMatchObject({ ok: false, code: 'TRUNCATED' });
  await closed(socket);
});

test('who is slow, silent or one too many is sent away', async () => {
  const path = await serve({ idleMs: 200, messageMs: 100 });
  const slow = await talk(path);
  slow.socket.write('{"model":');
  expect(await slow.answer()).toMatchObject({ ok: false, code: 'TIMEOUT' });
  await closed(slow.socket);
  const silent = await talk(path);
  await closed(silent.socket);
  const patient = await serve({ idleMs: 5000 });
  const many = await Promise.all(Array.from({ length: 16 }, () => talk(patient)));
  for (const { socket } of many) socket.write(good.subarray(0, 3));
  const last = await talk(patient);
  expect(await last.answer()).toMatchObject({ ok: false, code: 'BUSY' });
  await closed(last.socket);
  for (const { socket } of many) socket.write(good.subarray(3));
  const answers = await Promise.all(many.map(({ answer }) => answer()));
  expect(answers.map(({ ok }) => ok)).toEqual(many.map(() => true));
});

test('who was turned away and goes on sending is closed all the same', async () => {
  const path = await serve();
  await Promise.all(Array.from({ length: 16 }, () => talk(path)));
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.resume();
  const isClosed = new Promise((resolve) => {
    socket.once('close', () => resolve(true));
  });
  const sending = setInterval(() => socket.write('more'), 200);
  try {
    expect(await Promise.race([isClosed, sleep(4500, false, { ref: false })])).toBe(true);
  } finally {
    clearInterval(sending);
    socket.destroy();
  }
});

test('whoever hands samples over waits while too many others do, and loses none', async () => {
  const path = await serve({ maxSampleBytes: 4 * 1024 ** 2 }, 1000, 16 * 1024 ** 2);
  const file = join(folder, 'samples.npz');
  writeFileSync(
    file,
    npz({
      // Far more than a socket holds: it is still being sent when it is turned away.
      x: npy('<f4', [2, 4], Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8])),
      n: npy('<i8', [2, 100_000, 1], new BigInt64Array(200_000)),
    }),
  );
  const others = await Promise.all(Array.from({ length: 16 }, () => talk(path)));
  let isOver = false;
  const handed = handOver({ model: 'kws', path: file, socket: path, signal: never }).finally(() => {
    isOver = true;
  });
  await sleep(300);
  expect(isOver).toBe(false);
  for (const { socket } of others) socket.destroy();
  expect(await handed).toMatchObject({ offered: 2, seen: 2, held: 2 });
});

test('memory is set aside for so many bytes at once', async () => {
  const path = await serve();
  const big = { ...X, shape: [1, 1000] };
  const head = header({ inputs: [big] });
  const holders = await Promise.all(Array.from({ length: 4 }, () => talk(path)));
  for (const { socket } of holders) socket.write(head);
  // Four times 4096 bytes are there; 4000 of each are taken.
  await new Promise((resolve) => {
    setTimeout(resolve, 100);
  });
  const { socket, answer } = await talk(path);
  socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(4000)]));
  expect(await answer()).toMatchObject({ code: 'BUSY' });
  for (const one of holders) one.socket.destroy();
});

test('samples that come too fast are passed over, and not counted', async () => {
  const { socket, answer } = await talk(await serve({}, 2));
  const send = () => {
    socket.write(good);
    return answer();
  };
  expect([(await send())['seen'], (await send())['seen']]).toEqual([1, 2]);
  expect(await send()).toEqual({ ok: true, kept: false, limited: true, retryMs: 500 });
  nowMs = 500;
  expect(await send()).toMatchObject({ kept: true, seen: 3 });
});

test('pictures are taken as they are, of any size', async () => {
  const { socket, answer } = await talk(await serve());
  const picture = { name: 'image', dtype: 'uint8', shape: [5, 6, 3] };
  const send = (input: object, bytes: Buffer) => {
    socket.write(`${JSON.stringify({ model: 'eyes', inputs: [input] })}\n`);
    socket.write(bytes);
    return answer();
  };
  expect(await send(picture, Buffer.alloc(90, 3))).toMatchObject({ kept: true });
  const ready = { name: 'image', dtype: 'float32', shape: [3, 8, 8] };
  expect(await send(ready, Buffer.alloc(768))).toMatchObject({ kept: true });
  expect(await send({ ...picture, shape: [90] }, Buffer.alloc(90))).toMatchObject({
    code: 'BAD_SHAPE',
  });
});

test('a cleared set and a new release are noticed', async () => {
  const { socket, answer } = await talk(await serve());
  socket.write(good);
  expect(await answer()).toMatchObject({ seen: 1 });
  await clearRecorded(join(folder, 'recorded'), 'kws');
  socket.write(good);
  expect(await answer()).toMatchObject({ seen: 1 });
  // The same inputs: the set goes on.
  release = 'r2';
  socket.write(good);
  expect(await answer()).toMatchObject({ seen: 2 });
  expect(readdirSync(join(folder, 'recorded', 'kws'))).toHaveLength(3);
});

test('a socket that a killed daemon has left is taken over', async () => {
  const path = await serve();
  await serve();
  const { socket, answer } = await talk(path);
  socket.write(good);
  expect(await answer()).toMatchObject({ ok: true });
});

test('a name that leads out of the folder is no model, whoever claims that it is installed', async () => {
  // So deep that whatever goes wrong stays in the folder of this test.
  const state = join(folder, 'deep', 'state');
  const recorder = new Recorder({
    folder: join(state, 'recorded'),
    installed: async () => ({ release, inputs: INPUTS }),
    limits: { maxSamples: 4, maxBytes: 10_000, maxPerSecond: 1000 },
    random: () => 0,
    now: () => new Date('2026-06-01T00:00:00Z'),
    monotonicMs: () => 0,
  });
  for (const name of ['..', '.', '../x', '']) {
    // oxlint-disable-next-line no-await-in-loop -- four
    await expect(recorder.describe(name)).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' });
  }
  expect(readdirSync(folder)).toEqual([]);
});
