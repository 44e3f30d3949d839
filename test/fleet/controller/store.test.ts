import { describe, expect, test } from '@jest/globals';
import { openLevelStore } from '../../../agent/fleet/controller/store/level.ts';
import { openPostgresStore } from '../../../agent/fleet/controller/store/postgres.ts';
import type { Entry, Store } from '../../../agent/fleet/controller/store/store.ts';
import { temporaryFolder } from '../../daemon/support.ts';
import { describeIf } from '../../support/available.ts';
import { startPostgres } from '../../support/postgres.ts';
import { afterThisTest } from '../support/harness.ts';

async function all(store: Store, prefix: string): Promise<readonly Entry[]> {
  const found: Entry[] = [];
  for await (const entry of store.scan(prefix)) found.push(entry);
  return found;
}

async function leadOf(store: Store, controllerId: string, minEpoch = 0): Promise<number> {
  const epoch = await store.lead({ controllerId, minEpoch });
  if (epoch === null) throw new Error('it does not lead');
  return epoch;
}

async function expectEntriesKept(store: Store): Promise<void> {
  const epoch = await leadOf(store, 'a');
  await store.write(epoch, {
    put: [
      ['execution/r1/b', '1'],
      ['execution/r1/a', 'ä"\n'],
      ['execution/r10/a', '3'],
    ],
    remove: [],
  });
  expect(await all(store, 'execution/r1/')).toEqual([
    ['execution/r1/a', 'ä"\n'],
    ['execution/r1/b', '1'],
  ]);
  const put: Entry[] = [['execution/r1/b', '2']];
  await store.write(epoch, { put, remove: ['execution/r1/a', 'not there'] });
  expect(await all(store, 'execution/r1/')).toEqual([['execution/r1/b', '2']]);
  expect([await store.get('execution/r10/a'), await store.get('x')]).toEqual(['3', null]);
}

async function expectFenced(store: Store): Promise<void> {
  const first = await leadOf(store, 'a');
  expect(await store.renew(first)).toBe(true);
  await store.resign(first);
  const second = await leadOf(store, 'b', 40);
  expect(second).toBe(40);
  expect(await store.renew(first)).toBe(false);
  const put: Entry[] = [['k', 'old']];
  await expect(store.write(first, { put, remove: [] })).rejects.toMatchObject({ code: 'FENCED' });
  expect(await store.get('k')).toBeNull();
  await store.write(second, { put: [['k', 'new']], remove: [] });
  expect(await store.get('k')).toBe('new');
}

describe('the embedded store', () => {
  async function open(state = temporaryFolder()): Promise<Store> {
    const store = await openLevelStore(state);
    afterThisTest(() => store.close());
    return store;
  }

  test('keeps entries', async () => expectEntriesKept(await open()));
  test('fences older epochs', async () => expectFenced(await open()));

  test('counts epochs on over a restart, and belongs to one process', async () => {
    const state = temporaryFolder();
    const store = await open(state);
    const first = await leadOf(store, 'a', 7);
    await expect(openLevelStore(state)).rejects.toMatchObject({ code: 'IN_USE' });
    await store.close();
    expect(await leadOf(await open(state), 'a')).toBe(first + 1);
  });
});

describeIf('postgres')('the store in PostgreSQL', () => {
  async function open(): Promise<{ store: Store; url: string }> {
    const server = await startPostgres();
    afterThisTest(server.stop);
    const store = await openPostgresStore(server.url);
    afterThisTest(() => store.close());
    return { store, url: server.url };
  }

  test('keeps entries', async () => expectEntriesKept((await open()).store));
  test('fences older epochs', async () => expectFenced((await open()).store));

  test('has one leader of two, and the tables are made by both at once', async () => {
    const { url } = await open();
    const stores = await Promise.all([openPostgresStore(url), openPostgresStore(url)]);
    for (const store of stores) afterThisTest(() => store.close());
    const epochs = await Promise.all(
      stores.map((store, at) => store.lead({ controllerId: `c${at}`, minEpoch: 0 })),
    );
    expect(epochs.filter((epoch) => epoch !== null)).toHaveLength(1);
  });

  test('says what is wrong without the password', async () => {
    const wrong = 'postgres://someone:secret-word@127.0.0.1:1/nothing';
    const failure = await openPostgresStore(wrong).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'UNAVAILABLE' });
    expect(String(failure)).not.toContain('secret-word');
  });
});
