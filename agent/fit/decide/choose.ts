import type { CandidateRow } from '../../contracts/bench.ts';
import { noScheme, schemePresets } from '../../contracts/scheme.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import { extensionOf, writeModel } from '../../model/open.ts';
import { isQuantized } from '../make/already-quantized.ts';
import { compareAuto } from './auto-comparison.ts';
import { FitError } from '../errors.ts';
import type { VersionMaker } from '../search/version-maker.ts';
import { makeFiles } from '../make/make-files.ts';
import type { MadeFile } from '../make/make-files.ts';
import { plan } from '../candidates/plan.ts';
import { runtimeFor } from '../candidates/runtimes.ts';
import { schemesFor } from '../candidates/schemes.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import { Scorer } from '../search/scorer.ts';
import { staticVersions } from '../search/static-versions.ts';
import type { Dropped, StaticVersion } from '../search/static-versions.ts';
import type { Subject } from '../subject.ts';
import { summarize } from '../summary.ts';
import type { Candidate, Hooks } from '../types.ts';

/** Samples that versions are scored on before any is measured. */
const SCORING_SAMPLES = 24;
/** A static version so much slower than float in a few runs is not measured at length. */
const HOPELESS = 1.5;
/** So far under the floor of 20 dB on calibration samples, no other samples bring a version back. */
const LOST_DB = 16;

export interface SchemeChoice {
  readonly scheme: Scheme;
  /** The file as it is was faster than its folded form. */
  readonly asIs: boolean;
  readonly rows: readonly CandidateRow[];
  /** Why nodes were given back to float, by their label. */
  readonly given: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** What `--to auto` has to work with. */
interface Tools {
  readonly subject: Subject;
  readonly maker: VersionMaker;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

/** A file with what its report needs. */
interface Entry extends MadeFile {
  readonly given?: ReadonlyMap<string, string>;
}

/**
 * `--to auto`: what an engineer would take on this machine, by measurement (`decideAuto` has the
 * rule). In stages, each of which spares the next one work: static versions are scored on a few
 * calibration samples, the best are measured side by side, and the fastest of those are judged on the
 * evaluation samples.
 */
export async function chooseScheme(
  subject: Subject,
  maker: VersionMaker,
  scratch: Scratch,
  hooks: Hooks,
): Promise<SchemeChoice> {
  const quantized = isQuantized(subject.loaded.model);
  if (quantized && subject.samples.evaluation === null) return takenOver(subject);
  const tools = { subject, maker, scratch, hooks };
  const planned = candidatesFor(subject);
  // A model that is quantized already keeps its own ranges: there is one static form of it.
  const others = planned
    .filter(({ method }) => quantized || method !== 'static')
    .flatMap((one) => (one.method === 'dynamic' ? [one, byBlocks(one)] : [one]));
  const made = await makeFiles(others, subject, maker, scratch, hooks);
  const folded = quantized ? [] : await foldedFloat(tools, planned[0]);
  const statics = await staticEntries(tools, quantized ? [] : planned);
  const entries: readonly Entry[] = [...made, ...folded, ...statics.entries];
  const compared = await compareAuto(entries, { subject, scratch, hooks });
  const rows = [...compared.rows, ...statics.dropped];
  const chosen = entries.find(({ candidate }) => candidate.id === compared.chosen);
  if (chosen === undefined) {
    const why = rows.map(({ id, reason }) => `${id}: ${reason}`).join('; ');
    throw new FitError('nothing-chosen', `nothing could be chosen: ${why}`, { kind: 'failure' });
  }
  const { candidate, given = new Map<string, string>() } = chosen;
  const asIs = candidate.method === 'none' && !folded.includes(chosen);
  return { scheme: candidate.scheme, asIs, rows, given, warnings: compared.warnings };
}

/** Where products gain from dynamic INT8, scales per block of weights may be better still. */
function byBlocks(dynamic: Candidate): Candidate {
  return {
    ...dynamic,
    id: `${dynamic.runtime}/weight-int8/t${dynamic.threads}`,
    method: 'weight-only',
    scheme: schemePresets['weight-int8'],
    why: 'a scale per block of weights: faster for single rows, and closer to float',
  };
}

/** Without samples nobody can judge; but taking a quantized model over keeps its numbers. */
function takenOver({ profile, facts, loaded }: Subject): SchemeChoice {
  const [best] = schemesFor(profile, facts, 'int8-static', runtimeFor(loaded.model));
  const scheme = best?.scheme ?? schemePresets['int8-static'];
  return { scheme, asIs: false, rows: [], given: new Map(), warnings: [] };
}

function candidatesFor({ package: described, loaded, facts, profile, samples }: Subject) {
  const file = { name: described.name, bytes: loaded.bytes };
  const summary = summarize(loaded.model, file, facts.cpu);
  const request = { threads: [1], asIs: false, samplesAvailable: samples.calibration !== null };
  return plan(summary, facts, profile, request).candidates;
}

/** The float model cleaned and folded: what is written when float wins. */
async function foldedFloat(
  { maker, scratch }: Tools,
  reference: Candidate | undefined,
): Promise<readonly Entry[]> {
  if (reference === undefined) return [];
  const { model } = await maker.make(noScheme);
  const chunks = writeModel(model);
  const path = scratch.file(`folded${extensionOf(model)}`);
  await writeScratchFile(path, chunks);
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  const candidate = {
    ...reference,
    id: reference.id.replace(/(\/t\d+)$/, '-folded$1'),
    why: 'the same function, with constants folded and leftovers removed',
  };
  return [{ candidate, file: { path, companions: [], bytes } }];
}

async function staticEntries(
  { subject, maker, scratch, hooks }: Tools,
  planned: readonly Candidate[],
): Promise<{ entries: readonly Entry[]; dropped: readonly CandidateRow[] }> {
  const [first, ...doubtful] = planned.filter(({ method }) => method === 'static');
  if (first === undefined) return { entries: [], dropped: [] };
  hooks.progress({ phase: 'scoring static versions' });
  const scorer = new Scorer({ subject, maker, scratch, hooks, samples: SCORING_SAMPLES });
  const { versions, dropped } = await staticVersions(forAccuracy(first.scheme, subject), scorer);
  const [best] = versions;
  const limit = HOPELESS * (await scorer.floatMs());
  const obstacle = ({ ms, sqnrDb }: StaticVersion) => {
    if ((sqnrDb ?? Infinity) < LOST_DB) {
      return `not measured: only ${sqnrDb?.toFixed(1)} dB on calibration samples`;
    }
    return ms > limit ? 'not measured: far slower than float in a few runs' : undefined;
  };
  // Another element type changes the speed, not much else: with the best ranges it is measured.
  const types = best === undefined ? [] : doubtful.map((one) => asTuned(one, best.scheme));
  const made = await makeFiles(types, subject, maker, scratch, hooks);
  return {
    entries: [
      ...versions.filter((one) => obstacle(one) === undefined).map((one) => toEntry(first, one)),
      ...made,
    ],
    dropped: [
      ...dropped.map((one) => droppedRow(first, one)),
      ...versions.flatMap((one) => {
        const error = obstacle(one);
        return error === undefined ? [] : [droppedRow(first, { ...one, error })];
      }),
    ],
  };
}

/** Where versions are compared, a few bytes more of scales are no reason to be less accurate. */
function forAccuracy(scheme: Scheme, { loaded }: Subject): Scheme {
  return loaded.model.format === 'tflite' ? { ...scheme, rowScales: 'all' } : scheme;
}

/** The best scheme with the element types of another candidate. */
function asTuned(candidate: Candidate, best: Scheme): Candidate {
  const { activations, weights, perChannel, reduceRange } = candidate.scheme;
  const scheme = { ...best, activations, weights, perChannel, reduceRange };
  return { ...candidate, scheme };
}

function named({ id }: Candidate, label: string): string {
  return id.replace(/\/[^/]*(\/t\d+)$/, `/${label}$1`);
}

function toEntry(first: Candidate, version: StaticVersion): Entry {
  const { label, why, scheme, path, bytes, given } = version;
  const candidate = { ...first, id: named(first, label), scheme, why: `${first.why}; ${why}` };
  const file = { path, companions: [], bytes };
  return { candidate, file, ...(given === undefined ? {} : { given }) };
}

function droppedRow(
  first: Candidate,
  { label, why, error }: Omit<Dropped, 'scheme'>,
): CandidateRow {
  const { precision, method, runtime, threads } = first;
  return {
    id: named(first, label),
    precision,
    method,
    runtime,
    threads,
    bytes: null,
    latencyMs: null,
    throughputPerSecond: null,
    loadMs: null,
    peakRssBytes: null,
    ownOverheadMs: null,
    integerCoverage: null,
    fidelity: null,
    accuracy: null,
    heat: null,
    why,
    verdict: 'rejected',
    reason: error,
  };
}
