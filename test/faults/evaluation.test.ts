import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { WorkContext } from '../../agent/fleet/jobs/work/context.ts';
import { keepEvaluation } from '../../agent/fleet/jobs/work/evaluation.ts';
import { packageFolder } from '../../agent/fleet/jobs/work/fetch.ts';
import { removeDurably } from '../../agent/util/durable.ts';
import { folderWith } from '../fleet/support/harness.ts';
import { disksAfterCuts, writeDisk } from './crash-states.ts';
import { report } from './results.ts';

const MODEL = { name: 'kws', version: '2.0.0', releaseCounter: 2 };

function contextIn(state: string): WorkContext {
  const folders = {
    evaluation: join(state, 'evaluation'),
    packages: join(state, 'packages'),
    scratch: join(state, 'scratch'),
  };
  // Nothing else of it is used here.
  return { folders, samplesBytes: 1000 } as unknown as WorkContext;
}

/** A state folder with a package of the second version; samples of it are kept from before. */
function newState(): string {
  const state = folderWith({});
  const source = packageFolder(MODEL, contextIn(state));
  mkdirSync(join(source, 'samples', 'eval'), { recursive: true });
  const manifest = {
    schema: 'edgefit/model/1',
    name: 'kws',
    version: '2.0.0',
    model: 'model.onnx',
    samples: { evaluation: { path: 'samples/eval' } },
  };
  writeFileSync(join(source, 'manifest.json'), JSON.stringify(manifest));
  for (const name of ['a.npy', 'b.npy'])
    writeFileSync(join(source, 'samples', 'eval', name), `new ${name}`);
  const before = join(state, 'evaluation', 'kws', '2.0.0', 'samples', 'eval');
  mkdirSync(before, { recursive: true });
  writeFileSync(join(before, 'a.npy'), 'old a.npy');
  return state;
}

test('evaluation samples outlive a crash while they are taken out of their package', async () => {
  const state = newState();
  const commit = async (where: string) => {
    const context = contextIn(where);
    await keepEvaluation(MODEL, context);
    await removeDurably(packageFolder(MODEL, context));
  };
  const cuts = await disksAfterCuts(state, () => commit(state));
  expect(cuts.length).toBeGreaterThan(8);
  for (const { disk } of cuts) {
    const after = folderWith({});
    writeDisk(after, disk);
    mkdirSync(join(after, 'scratch'), { recursive: true });
    // oxlint-disable-next-line no-await-in-loop -- one device after the other
    await commit(after);
    const kept = join(after, 'evaluation', 'kws', '2.0.0');
    const samples = join(kept, 'samples', 'eval');
    const found = ['a.npy', 'b.npy'].map((name) => readFileSync(join(samples, name), 'utf8'));
    expect(found).toEqual(['new a.npy', 'new b.npy']);
    expect(JSON.parse(readFileSync(join(kept, 'manifest.json'), 'utf8'))).toMatchObject({
      name: 'kws',
      samples: { evaluation: { path: 'samples/eval' } },
    });
    expect(readdirSync(join(after, 'evaluation', 'kws'))).toEqual(['2.0.0']);
    expect(existsSync(packageFolder(MODEL, contextIn(after)))).toBe(false);
  }
  report({ cases: cuts.length, passed: cuts.length });
});

test('samples that are larger than is allowed stay out', async () => {
  const state = newState();
  await keepEvaluation(MODEL, { ...contextIn(state), samplesBytes: 10 });
  const kept = join(state, 'evaluation', 'kws', '2.0.0', 'samples', 'eval', 'a.npy');
  expect(readFileSync(kept, 'utf8')).toBe('old a.npy');
});
