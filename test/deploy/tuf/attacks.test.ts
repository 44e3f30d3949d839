import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createRepository,
  refreshTimestamp,
  rotateKeys,
} from '../../../agent/deploy/tuf/repository.ts';
import { trustedOffline } from '../../../agent/deploy/tuf/refresh.ts';
import { Fixture, NOW_MS } from '../support/fixture.ts';
import { newKey } from '../support/keys.ts';

const DAY_MS = 86_400_000;

let fixture: Fixture;

beforeEach(async () => {
  fixture = new Fixture();
  await fixture.start();
});

afterEach(async () => {
  await fixture.stop();
});

/** Serves these bytes under this name of the metadata, whatever the repository holds. */
function forge(forged: Readonly<Record<string, Uint8Array>>): void {
  fixture.server.intercept = ({ path, response }) => {
    const bytes = forged[path.replace(/^metadata\//, '')];
    if (bytes === undefined) return false;
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    return true;
  };
}

function read(name: string): Promise<Buffer> {
  return readFile(fixture.metadata(name));
}

async function deviceState(): Promise<readonly string[]> {
  const names = ['root.json', 'timestamp.json', 'snapshot.json', 'targets.json'];
  return Promise.all(names.map((name) => readFile(join(fixture.device, name), 'utf8')));
}

test('an honest repository is believed: files, releases, and who may sign', async () => {
  await fixture.publish('1.1.0', 'second');
  const trusted = await fixture.refresh();
  const files = trusted.packageFiles('kws', '1.1.0');
  expect([...files.keys()]).toEqual(['manifest.json', 'samples/a.txt']);
  expect(files.get('samples/a.txt')).toMatchObject({ bytes: 6, releaseCounter: 2 });
  expect(trusted.packageFiles('kws', '1').size).toBe(0);
  expect([...trusted.documentKeys().keys]).toEqual([
    [fixture.operator.keyId, fixture.operator.public],
  ]);
  expect(trusted.signedMs).toBe(NOW_MS);
  expect(() => trusted.target('models/kws/9/manifest.json')).toThrow(
    expect.objectContaining({ code: 'missing' }),
  );
});

test('a second refresh asks for the timestamp and the next root, no more', async () => {
  await fixture.refresh();
  fixture.server.asked.length = 0;
  await fixture.refresh();
  expect(fixture.server.asked).toEqual(['metadata/2.root.json', 'metadata/timestamp.json']);
});

test('a device that was never enrolled has no root to start from', async () => {
  fixture.device = join(fixture.folder, 'nowhere');
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'not_enrolled' });
});

describe('arbitrary software and wrong keys', () => {
  test.each(['timestamp.json', '3.snapshot.json', '3.targets.json'])(
    '%s changed by one value',
    async (name) => {
      const text = (await read(name)).toString();
      forge({ [name]: Buffer.from(text.replace('2026', '2027')) });
      const code = name === 'timestamp.json' ? 'bad_signature' : 'mix_and_match';
      await expect(fixture.refresh()).rejects.toMatchObject({ code });
    },
  );

  test('a whole repository signed by other keys', async () => {
    const other = new Fixture();
    await other.start();
    const forged = await Promise.all(
      ['timestamp.json', '3.snapshot.json', '3.targets.json'].map(
        async (name) => [name, await readFile(other.metadata(name))] as const,
      ),
    );
    forge(Object.fromEntries(forged));
    await expect(fixture.refresh()).rejects.toMatchObject({ code: 'bad_signature' });
    await other.stop();
  });

  test('a new root below the threshold of the old one', async () => {
    const [first] = fixture.roots;
    const mine = newKey();
    const other = new Fixture();
    other.folder = join(fixture.folder, 'other');
    const roles = { ...fixture.roles, root: { keys: [mine.public], threshold: 1 } };
    await createRepository(
      { ...fixture.options(), folder: other.folder, keys: [mine, ...fixture.keys] },
      roles,
    );
    const root = JSON.parse(await readFile(join(other.folder, 'metadata/1.root.json'), 'utf8'));
    root.signed.version = 2;
    // One signature of the old root's three, where two are needed, and its own good one.
    const { Metadata, Signature, MetadataKind } = await import('@tufjs/models');
    const metadata = Metadata.fromJSON(MetadataKind.Root, root);
    for (const key of [mine, ...(first === undefined ? [] : [first])]) {
      metadata.sign((bytes) => {
        const sig = Buffer.from(key.sign(bytes)).toString('hex');
        return new Signature({ keyID: key.keyId, sig });
      });
    }
    forge({ '2.root.json': Buffer.from(JSON.stringify(metadata.toJSON())) });
    await expect(fixture.refresh()).rejects.toMatchObject({ code: 'bad_signature' });
  });
});

test('rollback: an older timestamp than the one seen', async () => {
  const old = await read('timestamp.json');
  await fixture.publish('1.1.0', 'second');
  await fixture.refresh();
  const before = await deviceState();
  forge({ 'timestamp.json': old });
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'rollback' });
  expect(await deviceState()).toEqual(before);
});

test('rollback: a newer timestamp that names an older snapshot', async () => {
  await fixture.publish('1.1.0', 'second');
  await fixture.refresh();
  // The online key is stolen: it signs a timestamp over the old snapshot.
  const { Metadata, MetadataKind, MetaFile, Signature } = await import('@tufjs/models');
  const data = JSON.parse((await read('timestamp.json')).toString());
  data.signed.version = 99;
  data.signed.meta['snapshot.json'] = new MetaFile({ version: 3 }).toJSON();
  const metadata = Metadata.fromJSON(MetadataKind.Timestamp, { ...data, signatures: [] });
  metadata.sign((bytes) => {
    const sig = Buffer.from(fixture.online.sign(bytes)).toString('hex');
    return new Signature({ keyID: fixture.online.keyId, sig });
  });
  forge({ 'timestamp.json': Buffer.from(JSON.stringify(metadata.toJSON())) });
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'rollback' });
});

test('freeze: the same metadata for ever', async () => {
  await fixture.refresh();
  await expect(fixture.refresh(NOW_MS + 8 * DAY_MS)).rejects.toMatchObject({ code: 'expired' });
  await expect(trustedOffline(fixture.device, NOW_MS + 6 * DAY_MS)).resolves.toBeDefined();
  await expect(trustedOffline(fixture.device, NOW_MS + 8 * DAY_MS)).rejects.toMatchObject({
    code: 'expired',
  });
});

test('a timestamp signed anew by the online key alone ends the freeze', async () => {
  const later = NOW_MS + 8 * DAY_MS;
  await refreshTimestamp({ folder: fixture.repository, keys: [fixture.online], nowMs: later });
  expect((await fixture.refresh(later)).signedMs).toBe(later);
});

test('an expired root is refused even with a fresh timestamp', async () => {
  const later = NOW_MS + 366 * DAY_MS;
  await refreshTimestamp({ folder: fixture.repository, keys: [fixture.online], nowMs: later });
  await expect(fixture.refresh(later)).rejects.toMatchObject({ code: 'expired' });
});

test('mix and match: a good snapshot of another time', async () => {
  const old = await read('3.snapshot.json');
  await fixture.publish('1.1.0', 'second');
  forge({ '4.snapshot.json': old });
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'mix_and_match' });
});

test('mix and match: good targets of another time', async () => {
  const old = await read('3.targets.json');
  await fixture.publish('1.1.0', 'second');
  forge({ '4.targets.json': old });
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'mix_and_match' });
});

test('endless data: metadata that does not end', async () => {
  fixture.server.intercept = ({ path, response }) => {
    if (path !== 'metadata/timestamp.json') return false;
    const more = () => {
      if (!response.destroyed) response.write(Buffer.alloc(8192), () => setImmediate(more));
    };
    response.writeHead(200);
    more();
    return true;
  };
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'endless_data' });
});

test('slow retrieval: metadata a byte at a time', async () => {
  fixture.server.intercept = ({ path, response }) => {
    if (path !== 'metadata/timestamp.json') return false;
    response.writeHead(200);
    const timer = setInterval(() => response.write(' '), 50);
    response.on('close', () => {
      clearInterval(timer);
    });
    return true;
  };
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'slow_retrieval' });
});

test('a server that says nothing at all', async () => {
  fixture.server.intercept = () => true;
  await expect(fixture.refresh()).rejects.toMatchObject({ code: 'unreachable' });
});

test.each(['', '{', '[]', '{"signed":1,"signatures":[]}', '\u0000'])(
  'a timestamp of %j is malformed and changes nothing',
  async (text) => {
    await fixture.refresh();
    const before = await deviceState();
    forge({ 'timestamp.json': Buffer.from(text) });
    await expect(fixture.refresh()).rejects.toMatchObject({ code: 'malformed' });
    expect(await deviceState()).toEqual(before);
  },
);

test('rotation: new root and online keys are followed, the old online key signs no more', async () => {
  await fixture.refresh();
  const [a, b] = fixture.roots;
  const [root, online] = [newKey(), newKey()];
  if (a === undefined || b === undefined) throw new Error('no root keys');
  const keys = [a, b, root, fixture.targets, online];
  await rotateKeys(
    { ...fixture.options(), keys },
    {
      root: { keys: [a.public, b.public, root.public], threshold: 2 },
      snapshot: { keys: [online.public], threshold: 1 },
      timestamp: { keys: [online.public], threshold: 1 },
    },
  );
  expect((await fixture.refresh()).rootVersion).toBe(2);
  await expect(
    refreshTimestamp({ folder: fixture.repository, keys: [fixture.online], nowMs: NOW_MS }),
  ).rejects.toMatchObject({ code: 'MISSING_KEY' });
});

test('an operator does not sign on top of what somebody else has changed', async () => {
  const path = fixture.metadata('3.targets.json');
  await writeFile(path, (await readFile(path, 'utf8')).replace('samples/a.txt', 'samples/b.txt'));
  await expect(fixture.publish('1.1.0', 'second')).rejects.toMatchObject({ code: 'mix_and_match' });
});
