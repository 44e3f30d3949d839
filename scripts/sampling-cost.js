// @ts-check
// What watching a machine costs: CPU time of one look at its heat, clocks and power, and what looks
// beside a model do to its latency. Needs a build.
//
//   node scripts/sampling-cost.js [--root DIR]     DIR: a recorded machine; the load runs here anyway
import { parseArgs } from 'node:util';
import { join } from 'node:path';

const LOOKS = 200;
const PAIRS = 12;
const LIMITS = { minCount: 5, minTimeMs: 1000, maxTimeMs: 20_000 };
const root = join(import.meta.dirname, '..');
const MODEL = join(root, 'demo/shapes.onnx');

/** Built modules, typed as their sources. @param {string} name */
const built = (name) => import(join(root, `dist/agent/${name}.js`));

/** @type {typeof import('../agent/bench/sampling.ts')} */
const { SAMPLE_EVERY_MS, sampleBeside, takeSample } = await built('bench/sampling');
/** @type {typeof import('../agent/bench/statistics.ts')} */
const { median } = await built('bench/statistics');
/** @type {typeof import('../agent/fit/children.ts')} */
const { openChild } = await built('fit/children');
/** @type {typeof import('../agent/fit/scratch.ts')} */
const { withScratch } = await built('fit/scratch');
/** @type {typeof import('../agent/hardware/heat.ts')} */
const { openHeat } = await built('hardware/heat');
/** @type {typeof import('../agent/hardware/power-meter.ts')} */
const { openPowerMeter } = await built('hardware/power-meter');

/** @typedef {import('../agent/bench/sampling.ts').Instruments} Instruments */

const { values } = parseArgs({ options: { root: { type: 'string' } } });
const heat = await openHeat(values.root);
const { meter, why, close } = await openPowerMeter({ root: values.root });
try {
  console.log(`power: ${meter?.source ?? why}`);
  console.log(await costOfLooks({ heat, meter }));
  console.log(await effectOnLoad({ heat, meter }));
} finally {
  close();
}

/** @param {Instruments} instruments */
async function costOfLooks(instruments) {
  // A few first: a bench, too, looks with compiled code and at files that were found before.
  await look(instruments, 20);
  const before = process.cpuUsage();
  const start = performance.now();
  await look(instruments, LOOKS);
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000 / LOOKS;
  const wallMs = (performance.now() - start) / LOOKS;
  const share = ((cpuMs / SAMPLE_EVERY_MS) * 100).toFixed(2);
  return `one look: ${cpuMs.toFixed(2)} ms of CPU, ${wallMs.toFixed(2)} ms long; every ${SAMPLE_EVERY_MS} ms that is ${share} % of a core`;
}

/** @param {Instruments} instruments @param {number} count */
async function look(instruments, count) {
  // oxlint-disable-next-line no-await-in-loop -- one look after the other
  for (let at = 0; at < count; at += 1) await takeSample(instruments, 'later');
}

/** Turns of the demo model with and without looks beside it, in turn. @param {Instruments} instruments */
function effectOnLoad(instruments) {
  return withScratch(async (scratch) => {
    const { signal } = new AbortController();
    const child = await openChild({ name: 'demo', signal, scratch });
    try {
      await child.call('open', { path: MODEL, threads: 1, feeds: await feedsOf(child) });
      await child.call('warmUp', undefined);
      const turn = () => child.call('round', { limits: LIMITS });
      /** @type {number[]} */
      const alone = [];
      /** @type {number[]} */
      const watched = [];
      for (let at = 0; at < PAIRS; at += 1) {
        // oxlint-disable-next-line no-await-in-loop -- two at once would disturb each other
        alone.push(median((await turn()).latenciesMs));
        // oxlint-disable-next-line no-await-in-loop -- two at once would disturb each other
        watched.push(median((await sampleBeside(instruments, turn)).result.latenciesMs));
      }
      const [without, beside] = [median(alone), median(watched)];
      const change = ((beside / without - 1) * 100).toFixed(1);
      return `the demo, one thread, median of ${PAIRS} turns: ${without.toFixed(4)} ms alone, ${beside.toFixed(4)} ms watched (${change} %)`;
    } finally {
      await child.close();
    }
  });
}

/** Zeros. @param {import('../agent/fit/children.ts').FitWorker} child */
async function feedsOf(child) {
  const { inputs } = await child.call('describe', { path: MODEL });
  return Object.fromEntries(
    inputs.map(({ name, shape }) => {
      const fixed = shape.map((length) => (typeof length === 'number' ? length : 1));
      const data = new Float32Array(fixed.reduce((product, length) => product * length, 1));
      return [name, { dtype: /** @type {const} */ ('float32'), shape: fixed, data }];
    }),
  );
}
