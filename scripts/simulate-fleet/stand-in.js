// @ts-check
// The two things that a simulated device does not do for itself: fitting a model, and bringing the
// bytes of a package over the network. Both take some time, and fitting fails where it is told to.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decisionOf, modelNamed, reportOf } from './reports.js';

/** @typedef {import('../../agent/fleet/jobs/work/context.ts').RunAgent} RunAgent */
/** @typedef {import('../../agent/fleet/jobs/work/context.ts').WorkContext} WorkContext */

/**
 * @typedef {object} StandInOptions
 * @property {import('./machines.js').Machine} machine
 * @property {number} luck in [0, 1)
 * @property {string} mirror folder of the repository
 * @property {string} repository its address
 * @property {number} workMs about as long as fitting takes
 * @property {(step: 'fit' | 'bench', version: string) => string | null} failure why a step fails, or null
 * @property {(step: 'download' | 'fit' | 'bench') => void} onStep told when a step is under way
 */

/** @param {StandInOptions} options @returns {RunAgent} */
export function standInAgent(options) {
  return async (args, signal) => {
    const [command, path = ''] = args;
    if (command === 'doctor') return ended(JSON.stringify(HEALTHY));
    const step = command === 'fit' ? 'fit' : 'bench';
    options.onStep(step);
    // Trying a model is short beside fitting one.
    await pause(step === 'fit' ? options.workMs : options.workMs / 10, signal);
    const about = step === 'fit' ? path : join(dirname(path), 'release.json');
    const { name, model, version } = JSON.parse(await readFile(about, 'utf8'));
    const why = options.failure(step, version);
    if (why !== null)
      return { code: step === 'fit' ? 3 : 1, signal: null, stdout: '', complaint: why };
    const stdout =
      step === 'fit'
        ? await fit(join(dirname(path), model), args[args.indexOf('-o') + 1] ?? '', name, options)
        : JSON.stringify(tried(await benchOf(path, model, options)));
    return ended(stdout);
  };
}

/** Of the self-check: nothing is missing on a machine that is not there. */
const HEALTHY = { schema: 'edgefit/doctor/1', agent: 'simulated', healthy: true, checks: [] };

/** @param {string} stdout */
function ended(stdout) {
  return { code: 0, signal: null, stdout, complaint: '' };
}

/** @param {string} source @param {string} folder @param {string} name @param {StandInOptions} options */
async function fit(source, folder, name, options) {
  const bench = await benchOf(source, name, options);
  const chosen = bench.candidates.find(({ id }) => id === bench.chosen);
  const file = `${name}.${chosen?.precision ?? 'fp32'}.onnx`;
  await copyFile(source, join(folder, file));
  const { sha256 } = bench.model;
  const record = decisionOf(bench, { file, sha256, bytes: chosen?.bytes ?? bench.model.bytes });
  const text = JSON.stringify(record);
  await writeFile(join(folder, 'decision.json'), text);
  return text;
}

/** @param {string} file @param {string} name @param {StandInOptions} options */
async function benchOf(file, name, { machine, luck }) {
  const sha256 = createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
  return reportOf(machine, modelNamed(name), { luck, sha256 });
}

/** As `bench --as-is` reports: the chosen one alone. @param {import('./reports.js').BenchReport} report */
function tried(report) {
  return { ...report, candidates: report.candidates.filter(({ id }) => id === report.chosen) };
}

/**
 * Instead of reading a body from the network: the file is in the repository's folder on this machine.
 * @param {StandInOptions} options
 * @returns {NonNullable<WorkContext['download']>}
 */
export function standInDownload({ mirror, repository, workMs, onStep }) {
  return async (path, { url, bytes }, { signal, onProgress }) => {
    onStep('download');
    await pause(workMs / 10, signal);
    await mkdir(dirname(path), { recursive: true });
    await copyFile(join(mirror, decodeURIComponent(url.slice(repository.length))), path);
    onProgress?.(bytes, bytes);
  };
}

/** @param {number} ms @param {AbortSignal} signal */
async function pause(ms, signal) {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
