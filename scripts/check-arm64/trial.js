// @ts-check
// Everything that is tried on one emulated core.
import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  FLOAT_TOLERANCE,
  INT8_TOLERANCE,
  benchChecks,
  differingBytes,
  rangesDifference,
  relativeDifference,
  same,
  within,
} from './compare.js';
import { FORMATS, agentJson, bench, outputsOf, quantize } from './work.js';

/**
 * @typedef {object} Trial
 * @property {import('./cores.js').Core} core
 * @property {import('./work.js').Node} node on that core
 * @property {string} home the installed package
 * @property {import('./work.js').Work} work
 * @property {import('./reference.js').Reference} reference
 * @property {import('./broker.js').Broker} broker
 * @property {import('./schemas.js').Schemas} schemas
 * @property {string} folder for what it makes
 */

/** @typedef {import('./compare.js').Check} Check */

/** What doctor calls the libraries that are not JavaScript. */
const NATIVE = ['onnxruntime', 'koffi', 'tflite'];

/** @type {readonly (readonly [string, (trial: Trial) => Promise<Check[]>])[]} */
export const PARTS = [
  ['probe', probeChecks],
  ['doctor', doctorChecks],
  ['outputs', outputChecks],
  ['kernels', kernelChecks],
  ['quantize', quantizeChecks],
  ['bench', benchAndReport],
];

/** @param {Trial} trial */
async function probeChecks({ core, node, home, schemas }) {
  const facts = schemas.facts.parse(await agentJson(node, home, ['probe']));
  return [
    same('probe: architecture', facts.cpu.arch, 'arm64'),
    same('probe: core', facts.cpu.model, core.name),
    same('probe: features', facts.cpu.features.toSorted(), core.features),
    same('probe: features come from', facts.sources?.['cpu.features'], '/proc/cpuinfo'),
    same('probe: board', facts.board.id, core.board),
    same('probe: profile', facts.profile.id, core.board),
    same('probe: accelerators', facts.accelerators, []),
  ];
}

/** @param {Trial} trial */
async function doctorChecks({ node, home, schemas }) {
  const { checks } = schemas.doctor.parse(await agentJson(node, home, ['doctor']));
  return NATIVE.map((name) => {
    const found = checks.find(({ id }) => id === name);
    return same(`doctor: ${name}`, found?.state, 'ok');
  });
}

/** @param {Trial} trial */
async function outputChecks({ node, home, work, reference }) {
  const outputs = await outputsOf(node, home, work, reference.files);
  return reference.files.map((file) => {
    const difference = relativeDifference(outputs[file] ?? [], reference.outputs[file] ?? []);
    const tolerance = work.models.includes(file) ? FLOAT_TOLERANCE : INT8_TOLERANCE;
    return within(`outputs: ${basename(file)}`, difference, tolerance);
  });
}

/**
 * Whether the runtimes notice the core: qemu lists every instruction that it translates, and int8
 * dot products are among them just where the core has them.
 * @param {Trial} trial
 */
async function kernelChecks({ core, node, home, work, reference, folder }) {
  const checks = [];
  for (const file of reference.files.filter((one) => !work.models.includes(one))) {
    const log = join(folder, 'instructions.log');
    const env = { QEMU_LOG: 'in_asm', QEMU_LOG_FILENAME: log };
    // oxlint-disable-next-line no-await-in-loop -- the log is large
    await outputsOf(node, home, work, [file], env);
    // oxlint-disable-next-line no-await-in-loop -- the log is large
    const count = await countDotProducts(log);
    // oxlint-disable-next-line no-await-in-loop -- the log is large
    await rm(log);
    const name = `kernels: ${basename(file)} with dot products`;
    checks.push({ ...same(name, count > 0, core.dotProducts), detail: `${count} in the code` });
  }
  return checks;
}

/** @param {string} log */
async function countDotProducts(log) {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(log) })) {
    if (/\s[su]dot\s/.test(line)) count += 1;
  }
  return count;
}

/** @param {Trial} trial */
async function quantizeChecks(trial) {
  const checks = [];
  for (const format of FORMATS) {
    // oxlint-disable-next-line no-await-in-loop -- the other core is busy at the same time
    checks.push(...(await quantizeFormat(trial, format)));
  }
  return checks;
}

/**
 * Given the same ranges, quantizing is arithmetic of our own and may not differ in one bit.
 * Calibrated anew, ranges differ by the rounding of the runtime.
 * @param {Trial} trial
 * @param {(typeof FORMATS)[number]} format
 * @returns {Promise<Check[]>}
 */
async function quantizeFormat({ node, home, work, reference, folder }, format) {
  const expected = reference.formats.get(format.name);
  if (expected === undefined) throw new Error(`nothing to compare ${format.name} with`);
  const extension = extname(expected.quantizedPath);
  const [given, own] = [join(folder, `given${extension}`), join(folder, `own${extension}`)];
  const ranges = join(folder, `ranges-${format.name}.json`);
  const fromGiven = await quantize(node, home, work, format, given, ['--ranges', expected.ranges]);
  const fromOwn = await quantize(node, home, work, format, own, ['--save-ranges', ranges]);
  /** @type {import('./compare.js').Ranges} */
  const calibrated = JSON.parse(await readFile(ranges, 'utf8'));
  const difference = rangesDifference(calibrated, expected.calibrated);
  const bytes = differingBytes(fromOwn, expected.quantized);
  const detail =
    bytes === null ? 'not of one length' : `${bytes} of ${fromOwn.length} bytes differ`;
  return [
    same(
      `quantize: ${format.name}, ranges given, bytes that differ`,
      differingBytes(fromGiven, expected.quantized),
      0,
    ),
    within(`quantize: ${format.name}, calibrated here, ranges`, difference, FLOAT_TOLERANCE),
    { name: `quantize: ${format.name}, calibrated here, length`, ok: bytes !== null, detail },
  ];
}

/** @param {Trial} trial */
async function benchAndReport({ core, node, home, work, reference, broker, schemas }) {
  const checks = [];
  for (const format of FORMATS) {
    const device = `${core.cpu}-${format.name}`;
    const report = ['--mqtt', broker.url, '--device-id', device];
    // oxlint-disable-next-line no-await-in-loop -- one benchmark at a time
    const measured = await bench(node, home, work, format, report);
    const expected = reference.formats.get(format.name)?.report ?? measured;
    checks.push(
      ...benchChecks(`bench ${format.name}`, schemas.bench.parse(measured), expected),
      ...(await messageChecks(device, measured, broker, schemas)),
    );
  }
  return checks;
}

/**
 * @param {string} device
 * @param {import('../../agent/contracts/bench.ts').BenchReport} measured
 * @param {import('./broker.js').Broker} broker
 * @param {import('./schemas.js').Schemas} schemas
 * @returns {Promise<Check[]>}
 */
async function messageChecks(device, measured, broker, schemas) {
  const topic = `edgefit/v1/d/${device}/up`;
  const birth = schemas.birth.safeParse(await broker.message(`${topic}/birth`));
  const message = schemas.bench.safeParse(await broker.message(`${topic}/bench`));
  return [
    same(`mqtt ${device}: birth of`, birth.data?.deviceId, device),
    same(`mqtt ${device}: birth names the core`, birth.data?.facts.cpu, measured.device.cpu),
    same(`mqtt ${device}: report chose`, message.data?.chosen, measured.chosen),
    same(
      `mqtt ${device}: report has rows`,
      message.data?.candidates.map(({ id }) => id),
      measured.candidates.map(({ id }) => id),
    ),
  ];
}
