import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { clearRecorded, listRecorded } from '../../../agent/calibration/recording/list.ts';
import { SampleStore, type StoreOptions } from '../../../agent/calibration/recording/store.ts';
import type { ModelInput } from '../../../agent/contracts/recorded.ts';
import { observeDurable } from '../../../agent/util/durable-steps.ts';
import { digestOfDisk, StepRecorder, writeDisk } from '../../faults/crash-states.ts';

const INPUTS: readonly ModelInput[] = [{ name: 'x', dtype: 'float32', shape: [1, 8] }];
const LIMITS = { maxSamples: 3, maxBytes: 1000 };

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'edgefit-store-'));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Takes these numbers in turn, then 0. */
function scripted(numbers: readonly number[]) {
  const left = [...numbers];
  return (bound: number) => Math.min(left.shift() ?? 0, bound - 1);
}

function open(changed: Partial<StoreOptions> = {}): Promise<SampleStore> {
  return SampleStore.open({
    folder: join(root, 'recorded', 'kws'),
    model: 'kws',
    inputs: INPUTS,
    limits: LIMITS,
    random: scripted([]),
    now: () => new Date('2026-06-01T00:00:00Z'),
    ...changed,
  });
}

const content = (at: number) => Buffer.from(`sample ${at} `.repeat(4));
const filesIn = (folder = root) =>
  readdirSync(join(folder, 'recorded', 'kws'))
    .filter((name) => name.endsWith('.npz'))
    .toSorted();

describe('samples on the disk', () => {
  test('are kept and replaced, for their owner alone', async () => {
    // The fourth replaces the second, the fifth is passed over.
    const store = await open({ random: scripted([1, 4]) });
    const kept: boolean[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let at = 0; at < 5; at += 1) kept.push(await store.add(content(at)));
    expect(kept).toEqual([true, true, true, true, false]);
    expect([store.seen, store.held]).toEqual([5, 3]);
    expect(filesIn()).toEqual(['000000000000.npz', '000000000002.npz', '000000000003.npz']);
    const folder = join(root, 'recorded', 'kws');
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    }
    for (const path of [folder, join(root, 'recorded')]) {
      expect(statSync(path).mode & 0o777).toBe(0o700);
    }
  });

  test('go on after a restart with the count that was written down', async () => {
    const store = await open({ random: scripted([3, 4, 5, 6]) });
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let at = 0; at < 7; at += 1) await store.add(content(at));
    // Killed: of those passed over since the last one that was kept nothing is known.
    expect((await open()).seen).toBe(3);
    await store.flush();
    const again = await open({ random: scripted([2]) });
    expect([again.seen, again.held]).toEqual([7, 3]);
    expect(await again.add(content(7))).toBe(true);
    // The name of a file says how many were seen when it came, without a flush.
    expect((await open()).seen).toBe(8);
    expect(filesIn()).toEqual(['000000000000.npz', '000000000001.npz', '000000000007.npz']);
  });

  test('of another version of the model, with other inputs, make room', async () => {
    const store = await open();
    await store.add(content(0));
    const wider: readonly ModelInput[] = [{ name: 'x', dtype: 'float32', shape: [1, 9] }];
    expect((await open({ inputs: wider })).seen).toBe(0);
    expect(filesIn()).toEqual([]);
    expect(await store.isThere()).toBe(false);
  });

  test('are brought within limits that have become narrower', async () => {
    const store = await open();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let at = 0; at < 3; at += 1) await store.add(content(at));
    const [first] = [content(0).length];
    const again = await open({ limits: { maxSamples: 3, maxBytes: 2 * first } });
    expect([again.seen, again.held]).toEqual([3, 2]);
    expect(filesIn()).toHaveLength(2);
  });

  test('that are damaged in their description begin anew', async () => {
    const store = await open();
    await store.add(content(0));
    writeFileSync(join(root, 'recorded', 'kws', 'set.json'), '{"schema":');
    expect((await open()).seen).toBe(0);
    expect(filesIn()).toEqual([]);
  });

  test('are listed and cleared', async () => {
    const folder = join(root, 'recorded');
    expect((await listRecorded(folder)).sets).toEqual([]);
    const store = await open();
    await store.add(content(0));
    expect((await listRecorded(folder)).sets).toEqual([
      {
        model: 'kws',
        samples: 1,
        bytes: content(0).length,
        seen: 1,
        since: '2026-06-01T00:00:00.000Z',
        inputs: INPUTS,
      },
    ]);
    expect(await clearRecorded(folder, 'kws')).toBe(true);
    expect(await clearRecorded(folder, 'kws')).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
    expect(await store.isThere()).toBe(false);
  });
});

test('a power cut at any moment leaves whole samples and their count', async () => {
  await open();
  const recorder = new StepRecorder(root);
  let done = 0;
  const end = observeDurable((step) => {
    recorder.record(step, String(done));
  });
  // Filling up, then four that replace: two files change with each.
  const store = await open({ random: scripted([0, 1, 2, 0]) });
  for (; done < 7; done += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    expect(await store.add(content(done))).toBe(true);
  }
  await store.flush();
  end();
  const seenDisks = new Set<string>();
  for (let step = 0; step <= recorder.steps; step += 1) {
    for (const disk of recorder.after(step)) {
      const digest = digestOfDisk(disk);
      if (seenDisks.has(digest)) continue;
      seenDisks.add(digest);
      const cut = mkdtempSync(join(root, 'cut-'));
      writeDisk(cut, disk);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const again = await open({ folder: join(cut, 'recorded', 'kws') });
      const whole = filesIn(cut).map((name) => [
        name,
        readFileSync(join(cut, 'recorded', 'kws', name), 'utf8'),
      ]);
      for (const [name = '', text] of whole) {
        expect(text).toBe(content(Number.parseInt(name, 10)).toString());
      }
      const before = Number(recorder.labelOf(Math.min(step, recorder.steps - 1)));
      expect(again.held).toBe(whole.length);
      expect(again.held).toBeLessThanOrEqual(LIMITS.maxSamples);
      expect(again.held).toBeGreaterThanOrEqual(Math.min(before, LIMITS.maxSamples));
      // What add() had returned for is counted; the one in between may be.
      expect([before, before + 1]).toContain(again.seen);
      expect(readdirSync(join(cut, 'recorded', 'kws')).filter((n) => n.startsWith('.'))).toEqual(
        [],
      );
    }
  }
  expect(seenDisks.size).toBeGreaterThan(15);
});
