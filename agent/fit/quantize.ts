import { basename, extname } from 'node:path';
import type { Ranges } from '../calibration/ranges/ranges.ts';
import type { QuantizeReport } from '../contracts/quantize.ts';
import type { Recipe } from '../contracts/recipe.ts';
import {
  AUTO,
  forTensorRt,
  noScheme,
  presetOf,
  schemeLabel,
  schemePresets,
} from '../contracts/scheme.ts';
import type { Scheme, SchemeName } from '../contracts/scheme.ts';
import { extensionOf, writeModel } from '../model/open.ts';
import type { Model } from '../model/open.ts';
import { emitC } from '../model/tflite/emit-c.ts';
import type { OpReport } from '../quantize/report.ts';
import { countOps } from '../quantize/report.ts';
import { peakRssOf } from '../runtime/children.ts';
import { writeOutputFile } from '../util/files.ts';
import { refuseCalibrating } from './make/already-quantized.ts';
import { LOAD_TIMEOUT_MS, inChild, largestChildRssBytes } from './children.ts';
import type * as ChooseModule from './decide/choose.ts';
import { FitError } from './errors.ts';
import { keepAccuracy } from './search/keep-accuracy.ts';
import type { VersionMaker } from './search/version-maker.ts';
import { makerFor } from './make/make-files.ts';
import { checkOutputs, refuseForeign, refuseOverwriting } from './make/quantize-outputs.ts';
import { applyRecipe, readRecipe, toRecipe } from './make/recipe.ts';
import { writeScratchFile } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { runtimeFor } from './candidates/runtimes.ts';
import { schemesFor } from './candidates/schemes.ts';
import { openSubject, timingFeeds } from './subject.ts';
import type { Subject } from './subject.ts';
import { shareOfVersion } from './tensorrt/coverage.ts';
import type { Hooks, QuantizeRequest } from './types.ts';

/** Quantizes one model as asked and writes it; measures which share runs in integers. */
export async function quantize(
  request: QuantizeRequest,
  scratch: Scratch,
  hooks: Hooks,
): Promise<QuantizeReport> {
  const start = performance.now();
  await checkOutputs(request);
  // First of all: what cannot be read ends the run before the long work.
  const asked =
    typeof request.scheme === 'string' ? request.scheme : await readRecipe(request.scheme.recipe);
  const subject = await openSubject(request, scratch, hooks);
  await refuseOverwriting(request, subject);
  refuseForeign(request, subject);
  refuseCalibrating(request, subject.loaded.model);
  const ranges = await readRanges(request.ranges, subject);
  const maker = await makerFor(subject, scratch, hooks, ranges);
  const choice =
    asked === AUTO
      ? await choose(subject, maker, scratch, hooks)
      : await keepAccuracy(schemeFor(request, asked, subject), request, {
          subject,
          maker,
          scratch,
          hooks,
        });
  const { scheme, asIs, rows, given, warnings } = choice;
  const made = await maker.make(scheme);
  const quantized: Model = asIs ? subject.loaded.model : made.model;
  const { found } = made;
  const ops = explained(made.ops, given);
  const chunks = writeModel(quantized);
  const trial = scratch.file(`quantized${extensionOf(quantized)}`);
  await writeScratchFile(trial, chunks);
  hooks.progress({ phase: 'checking the result' });
  const ran = await coverageOf(trial, subject, scratch, hooks);
  // onnxruntime runs it to be sure that it runs; it does not fuse what TensorRT fuses.
  const isForTensorRt = scheme.format === 'tensorrt' && found === undefined;
  const integerCoverage = isForTensorRt ? await shareOfVersion(quantized, scheme, maker) : ran;
  await writeOutputFile(request.output, emitted(request, quantized, chunks));
  if (request.saveRanges !== undefined) {
    const collection = await maker.collection(scheme.observer);
    const model = { name: subject.package.name, sha256: subject.loaded.sha256 };
    const { saveRanges } = await import('../calibration/ranges/files.ts');
    await saveRanges(request.saveRanges, { ...collection, model });
  }
  return {
    schema: 'edgefit/quantize/1',
    output: request.output,
    scheme: typeof asked === 'string' ? asked : asked.scheme,
    bytes: chunks.reduce((sum, { length }) => sum + length, 0),
    floatBytes: subject.loaded.bytes,
    seconds: (performance.now() - start) / 1000,
    peakRssBytes: (peakRssOf(process.pid) ?? 0) + largestChildRssBytes(),
    integerCoverage,
    ...('sqnrDb' in choice ? { sqnrDb: choice.sqnrDb } : {}),
    ops: countOps(ops),
    left: ops.flatMap(({ node, op, precision, reason }) =>
      precision === 'float' ? [{ node, op, reason: reason ?? '' }] : [],
    ),
    warnings: [
      ...new Set([
        ...(subject.package.warnings ?? []),
        ...(subject.calibrationInfo?.warnings ?? []),
        ...maker.warnings,
        ...warnings,
        ...notRun(subject),
        ...misnamed(request, quantized),
        ...(await unmatchedNames(asked, maker)),
      ]),
    ],
    ...recipeOf(scheme),
    ...(found === undefined ? {} : { found }),
    ...(rows === undefined ? {} : { made: schemeLabel(scheme), candidates: [...rows] }),
  };
}

/** A name that says the other format: TFLite models stay TFLite models, and ONNX models ONNX. */
function misnamed({ output, emit }: QuantizeRequest, model: Model): readonly string[] {
  const named = extname(output).toLowerCase();
  const own = extensionOf(model);
  if (emit !== undefined || named === own || !MODEL_EXTENSIONS.includes(named)) return [];
  return [`${output} holds a model of the format ${own.slice(1)}, in spite of its name`];
}

const MODEL_EXTENSIONS: readonly string[] = ['.onnx', '.tflite'];

/** What a recipe names in vain; names that we chose ourselves may be of nodes that we made. */
async function unmatchedNames(
  asked: SchemeName | typeof AUTO | Recipe,
  maker: VersionMaker,
): Promise<readonly string[]> {
  if (typeof asked === 'string') return [];
  return maker.unmatched(applyRecipe({ ...noScheme, method: 'static' }, asked));
}

/** Given to `--recipe`, it makes the same model again. A float model needs none. */
function recipeOf(scheme: Scheme): Pick<QuantizeReport, 'recipe'> {
  const name = presetOf(scheme);
  return name === undefined ? {} : { recipe: toRecipe(name, scheme) };
}

/** The file, or source code that holds it. */
function emitted(
  { emit, output }: QuantizeRequest,
  model: Model,
  chunks: readonly Uint8Array[],
): readonly Uint8Array[] {
  if (emit === undefined || model.format !== 'tflite') return chunks;
  const name = basename(output, extname(output))
    .replaceAll(/\W/g, '_')
    .replace(/^(?=\d)/, '_');
  return [Buffer.from(emitC(Buffer.concat(chunks), name, model))];
}

/** By measurement, which takes modules that nothing else does. */
const choose: typeof ChooseModule.chooseScheme = async (...args) => {
  const { chooseScheme } = await import('./decide/choose.ts');
  return chooseScheme(...args);
};

/** The account with the reasons of what was given back in place of `excluded by request`. */
function explained(
  ops: readonly OpReport[],
  given: ReadonlyMap<string, string>,
): readonly OpReport[] {
  return ops.map((row) => {
    const reason = row.precision === 'float' ? given.get(row.node) : undefined;
    return reason === undefined ? row : { ...row, reason };
  });
}

/** Ranges from one or more devices as one; null when samples are to be used. */
async function readRanges(files: readonly string[], { loaded }: Subject): Promise<Ranges | null> {
  if (files.length === 0) return null;
  const { loadRanges } = await import('../calibration/ranges/files.ts');
  const { mergeRanges } = await import('../calibration/ranges/merge.ts');
  const all = await Promise.all(files.map((file) => loadRanges(file)));
  const [first, ...others] = all;
  if (first === undefined) return null;
  if (first.model.sha256 !== loaded.sha256) {
    throw new FitError('bad-samples', `${files[0]} holds the ranges of another model`);
  }
  return others.reduce((merged, one) => mergeRanges(merged, one), first);
}

/**
 * The profile's own version of a scheme (element types, 7-bit weights), else the preset; then what
 * the recipe says, then what the command line says.
 */
function schemeFor(
  { observer, format, io, saveRanges }: QuantizeRequest,
  asked: SchemeName | Recipe,
  subject: Subject,
): Scheme {
  const name = typeof asked === 'string' ? asked : asked.scheme;
  const runtime = runtimeFor(subject.loaded.model);
  const [advised] = schemesFor(subject.profile, subject.facts, name, runtime);
  const preset: Scheme = advised?.scheme ?? schemePresets[name];
  const chosen = typeof asked === 'string' ? preset : applyRecipe(preset, asked);
  const written = format ?? chosen.format;
  return {
    ...(written === 'tensorrt' ? forTensorRt(chosen) : chosen),
    ...(observer === undefined ? {} : { observer }),
    ...(written === undefined ? {} : { format: written }),
    ...(io === undefined ? {} : { io }),
    // With ranges of the model as it is, the same result must come out elsewhere.
    ...(saveRanges === undefined || chosen.equalize !== undefined ? {} : { equalize: false }),
  };
}

/**
 * Runs the result once: what cannot run must not be handed over. Where no made-up input suits the
 * model itself, it is loaded only.
 */
async function coverageOf(
  path: string,
  subject: Subject,
  scratch: Scratch,
  hooks: Hooks,
): Promise<number | null> {
  const feeds = subject.guess === null ? null : await timingFeeds(subject, scratch, hooks);
  return inChild({
    name: 'the quantized model',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const timeout = { timeoutMs: LOAD_TIMEOUT_MS };
      if (feeds === null) {
        await worker.call('describe', { path }, timeout);
        return null;
      }
      return (await worker.call('coverage', { path, feeds }, timeout)).integerCoverage;
    },
  });
}

function notRun({ guess }: Subject): readonly string[] {
  if (guess !== null) return [];
  return [
    'the model takes none of the inputs that were made up for it: the result was loaded, not run; give --samples',
  ];
}
