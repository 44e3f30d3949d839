import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { download } from '../../../agent/deploy/download/download.ts';
import { serveFolder, type FileServer } from '../support/file-server.ts';
import { HASTE } from '../support/fixture.ts';

const CONTENT = Buffer.alloc(300_000, 'edgefit downloads ');
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');

let folder: string;
let target: string;
let server: FileServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-download-'));
  await writeFile(join(folder, 'model.onnx'), CONTENT);
  target = join(folder, 'device', 'model.onnx');
  server = await serveFolder(folder);
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

function fetchIt(options = {}) {
  const wanted = { url: `${server.url}/model.onnx`, bytes: CONTENT.length, sha256: SHA256 };
  const signal = AbortSignal.timeout(20_000);
  return download(target, wanted, { signal, patience: HASTE, ...options });
}

/** Ends each connection after so many bytes of the body. */
function cutAfter(bytes: number, ranges: string[] = []): void {
  server.intercept = async ({ request, response }) => {
    ranges.push(request.headers.range ?? 'whole');
    const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
    const rest = CONTENT.subarray(from);
    const head = { etag: '"a"', 'content-length': rest.length };
    response.writeHead(from === 0 ? 200 : 206, {
      ...head,
      'content-range': `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}`,
    });
    if (rest.length <= bytes) {
      response.end(rest);
      return true;
    }
    await new Promise((resolve) => response.write(rest.subarray(0, bytes), resolve));
    response.destroy();
    return true;
  };
}

test('fetches a file whole; nothing else is left', async () => {
  const progress: number[] = [];
  await fetchIt({ onProgress: (done: number) => progress.push(done) });
  expect(await readFile(target)).toEqual(CONTENT);
  expect(await readdir(join(folder, 'device'))).toEqual(['model.onnx']);
  expect(progress.at(-1)).toBe(CONTENT.length);
});

test('a line that breaks again and again costs no byte twice', async () => {
  const ranges: string[] = [];
  cutAfter(100_000, ranges);
  await fetchIt();
  expect(await readFile(target)).toEqual(CONTENT);
  expect(ranges).toEqual(['whole', 'bytes=100000-', 'bytes=200000-']);
});

test('after a restart the bytes that are there are used again', async () => {
  cutAfter(120_000);
  await expect(fetchIt({ patience: { ...HASTE, tries: 1 } })).rejects.toMatchObject({
    code: 'unreachable',
  });
  expect((await stat(`${target}.part`)).size).toBe(120_000);
  const ranges: string[] = [];
  cutAfter(CONTENT.length, ranges);
  await fetchIt();
  expect(ranges).toEqual(['bytes=120000-']);
  expect(await readFile(target)).toEqual(CONTENT);
});

test('pieces of another version are thrown away: the server answers If-Range with the whole', async () => {
  cutAfter(120_000);
  await expect(fetchIt({ patience: { ...HASTE, tries: 1 } })).rejects.toMatchObject({
    code: 'unreachable',
  });
  server.intercept = () => false;
  await fetchIt();
  expect(await readFile(target)).toEqual(CONTENT);
});

test('pieces that were damaged on the disk do not become a model', async () => {
  cutAfter(120_000);
  await expect(fetchIt({ patience: { ...HASTE, tries: 1 } })).rejects.toMatchObject({
    code: 'unreachable',
  });
  await writeFile(`${target}.part`, Buffer.alloc(120_000));
  const ranges: string[] = [];
  cutAfter(CONTENT.length, ranges);
  await fetchIt();
  expect(ranges).toEqual(['bytes=120000-', 'whole']);
  expect(await readFile(target)).toEqual(CONTENT);
  expect(await readdir(join(folder, 'device'))).toEqual(['model.onnx']);
});

test('a byte with every try does not keep a download alive for ever', async () => {
  const ranges: string[] = [];
  cutAfter(1, ranges);
  await expect(fetchIt()).rejects.toMatchObject({ code: 'unreachable' });
  expect(ranges).toHaveLength(HASTE.tries);
});

test('another file under the name is refused and leaves nothing', async () => {
  await writeFile(join(folder, 'model.onnx'), Buffer.alloc(CONTENT.length));
  const ranges: string[] = [];
  server.intercept = ({ request }) => {
    ranges.push(request.headers.range ?? 'whole');
    return false;
  };
  await expect(fetchIt()).rejects.toMatchObject({ code: 'wrong_content' });
  expect(ranges).toEqual(['whole']);
  expect(await readdir(join(folder, 'device'))).toEqual([]);
});

test('endless data ends at the signed length, announced or not', async () => {
  await writeFile(join(folder, 'model.onnx'), Buffer.concat([CONTENT, CONTENT]));
  await expect(fetchIt()).rejects.toMatchObject({ code: 'endless_data' });
  server.intercept = ({ response }) => {
    const more = () => {
      if (!response.destroyed) response.write(CONTENT, () => setImmediate(more));
    };
    response.writeHead(200);
    more();
    return true;
  };
  await expect(fetchIt()).rejects.toMatchObject({ code: 'endless_data' });
  expect(await readdir(join(folder, 'device'))).toEqual([]);
});

test('slow retrieval is tried again, then given up with its name', async () => {
  server.intercept = ({ response }) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('x'), 50);
    response.on('close', () => {
      clearInterval(timer);
    });
    return true;
  };
  await expect(fetchIt({ patience: { ...HASTE, tries: 1 } })).rejects.toMatchObject({
    code: 'slow_retrieval',
  });
});

test('a server in trouble is tried again, one without the file is not', async () => {
  let answers = 0;
  server.intercept = ({ response }) => {
    answers += 1;
    if (answers > 2) return false;
    response.writeHead(503).end();
    return true;
  };
  await fetchIt();
  expect(answers).toBe(3);
  await rm(target);
  await rm(join(folder, 'model.onnx'));
  server.asked.length = 0;
  await expect(fetchIt()).rejects.toMatchObject({ code: 'missing' });
  expect(server.asked).toHaveLength(1);
});

test('a disk without room is refused before the first byte', async () => {
  const keepFreeBytes = 1e15;
  await expect(fetchIt({ keepFreeBytes })).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(server.asked).toEqual([]);
});

test('keeps to a rate: 300 kB at 400 kB/s take at least 0.6 s', async () => {
  const began = performance.now();
  await fetchIt({ bytesPerSecond: 400_000 });
  expect(performance.now() - began).toBeGreaterThan(600);
});

test('an abort ends it and keeps the pieces', async () => {
  const controller = new AbortController();
  const onProgress = () => {
    controller.abort(new Error('stopped'));
  };
  await expect(fetchIt({ signal: controller.signal, onProgress })).rejects.toThrow('stopped');
  expect((await stat(`${target}.part`)).size).toBeGreaterThan(0);
});
