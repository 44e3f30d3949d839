import type { ObserverNeeds } from '../../calibration/observers/accumulator.ts';
import { needsOf, nonFiniteWarnings } from '../../calibration/observers/statistics.ts';
import type { Collection } from '../../calibration/observers/statistics.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import { allNodes, nodeLabel, opName } from '../../model/onnx/graph.ts';
import { exposeTensors } from '../../model/onnx/expose.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Statistics } from '../../model/statistics.ts';
import { isExcluded } from '../../quantize/onnx/excluded.ts';
import { quantizeDynamic } from '../../quantize/onnx/dynamic.ts';
import { keepHalves } from '../../quantize/onnx/keep-halves.ts';
import { toFp16 } from '../../quantize/onnx/fp16.ts';
import { DOUBLES, withOneFloat } from '../../quantize/onnx/prepare/one-float.ts';
import { exposeConstants, simplify } from '../../quantize/onnx/prepare/prepare.ts';
import { maskedTensors } from '../../quantize/onnx/masks.ts';
import { isQuantized } from '../../quantize/onnx/recognize.ts';
import { tensorsToObserve } from '../../quantize/onnx/static-plan.ts';
import { quantizeWeights } from '../../quantize/onnx/weight-only.ts';
import { layersToSample } from '../../quantize/onnx/rounding/layers.ts';
import { quantizeStatic } from '../../quantize/onnx/static.ts';
import { QuantizeError } from '../../quantize/errors.ts';
import type { OpReport, Quantized } from '../../quantize/report.ts';
import { makeOfQuantized } from './already-quantized.ts';
import type { Made } from './already-quantized.ts';
import { calibrate } from '../calibrate/calibrate.ts';
import { openBodies } from '../calibrate/body-tensors.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import { correctBiases } from '../calibrate/correct-biases.ts';
import { effortOf, equalizeModel } from '../calibrate/equalize.ts';
import type { EqualizeRequest } from '../calibrate/equalize.ts';
import { FitError } from '../errors.ts';
import { foldConstants } from './fold-constants.ts';
import { observerToCollect, onnxOperations, statisticsFor, unmatched } from './recipe.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { sampleLayers } from '../calibrate/sample-layers.ts';
import type { LayerInputs, Layers } from '../calibrate/sample-layers.ts';
import type { Scratch } from '../scratch.ts';
import { toTensors } from '../calibrate/tensors.ts';
import type { Hooks } from '../types.ts';
import type { MakerOptions, VersionMaker } from '../search/version-maker.ts';

const REFINEMENTS: VersionMaker['refinements'] = new Set(['equalized', 'rounded', 'biased']);

interface Collected {
  readonly needs: ObserverNeeds;
  readonly collection: Promise<Collection>;
}

/** Makes quantized versions of one ONNX model. */
export class OnnxMaker implements VersionMaker {
  readonly refinements = REFINEMENTS;
  readonly #float: OnnxModel;
  readonly #calibration: SampleJob | null;
  readonly #count: number | null;
  readonly #threads: number;
  readonly #exposedBytes: number | undefined;
  readonly #scratch: Scratch;
  readonly #hooks: Hooks;
  #prepared: Promise<OnnxModel> | undefined;
  readonly #ranges: Collection | null;
  readonly #statistics = new Map<string, Statistics>();
  /** The prepared model equalized, by what was asked for. */
  readonly #equalized = new Map<string, Promise<OnnxModel>>();
  readonly #collected = new Map<OnnxModel, Collected>();
  /** What meets the weights of each layer, by model. */
  readonly #layers = new Map<OnnxModel, Promise<LayerInputs>>();
  readonly warnings: string[] = [];

  constructor(options: MakerOptions<OnnxModel>) {
    this.#float = options.float;
    this.#calibration = options.calibration;
    this.#count = options.calibrationCount;
    this.#threads = options.threads;
    this.#exposedBytes = options.exposedBytes;
    this.#ranges = options.ranges ?? null;
    this.#scratch = options.scratch;
    this.#hooks = options.hooks;
  }

  async make(scheme: Scheme): Promise<Made> {
    const made = await this.#makeFloat32(scheme);
    // TensorRT takes weights as they are, or behind what it knows of quantization.
    if (isQuantized(this.#float) || scheme.format === 'tensorrt') return made;
    return { ...made, model: keepHalves(this.#float, made.model) };
  }

  /** What computes in float computes in float32, with weights of that type, but for FP16. */
  async #makeFloat32(scheme: Scheme): Promise<Made> {
    if (isQuantized(this.#float)) return makeOfQuantized(this.#float, scheme, () => this.#fold());
    if (scheme.method === 'fp16') {
      const { model, rows } = toFp16(withOneFloat(this.#float, DOUBLES), {
        blockedNodes: [...allNodes(this.#float.graph)]
          .filter((node) => isExcluded(scheme, node))
          .map(nodeLabel),
      });
      refuseNoHalves(rows);
      return { model, ops: rows };
    }
    const prepared = await this.#prepare();
    if (scheme.method === 'none') return { model: prepared, ops: floatOps(prepared) };
    if (scheme.method === 'dynamic') return quantizeDynamic(prepared, scheme);
    if (scheme.method === 'weight-only') return quantizeWeights(prepared, scheme);
    if (scheme.method !== 'static') {
      throw new FitError('no-runtime', `the method '${scheme.method}' cannot be made yet`);
    }
    const { model, statistics } = await this.parts(scheme);
    return this.#makeStatic(model, statistics, scheme);
  }

  async parts(scheme: Scheme): Promise<{ model: OnnxModel; statistics: Statistics }> {
    const model = await this.#equalize(await this.#prepare(), scheme);
    // Versions of one scheme differ in what they exclude; some observers take seconds.
    const { observer, rules, equalize, smooth } = scheme;
    const key = JSON.stringify([observer, rules, equalize, smooth]);
    const known = this.#statistics.get(key);
    if (known !== undefined) return { model, statistics: known };
    const needs = needsOf(observerToCollect(scheme), true);
    const collection = await this.#collectionOf(model, needs);
    const statistics = statisticsFor(collection, scheme, onnxOperations(model.graph));
    this.#statistics.set(key, statistics);
    return { model, statistics };
  }

  async #makeStatic(
    prepared: OnnxModel,
    statistics: Statistics,
    scheme: Scheme,
  ): Promise<Quantized<OnnxModel>> {
    const layers =
      scheme.rounding === 'adaptive' ? await this.#layerInputs(prepared, statistics) : undefined;
    const known = layers === undefined ? statistics : { ...statistics, layers };
    const quantized = quantizeStatic(prepared, known, scheme);
    const job = this.#calibration;
    if (scheme.biases !== 'measured' || job === null || this.#ranges !== null) return quantized;
    const [threads, scratch, hooks] = [this.#threads, this.#scratch, this.#hooks];
    return correctBiases(prepared, quantized, { job, statistics, threads, scratch, hooks });
  }

  /** The model with its channels equalized, where the scheme lets it and it promises a gain. */
  #equalize(prepared: OnnxModel, scheme: Scheme): Promise<OnnxModel> {
    const job = this.#calibration;
    // Ranges that were taken elsewhere are those of the model as it is.
    const effort = effortOf(scheme);
    if (job === null || this.#ranges !== null || effort === undefined) {
      return Promise.resolve(prepared);
    }
    const key = JSON.stringify(effort);
    const made = this.#equalized.get(key) ?? this.#equalizeOnce(prepared, job, effort);
    this.#equalized.set(key, made);
    return made;
  }

  async #equalizeOnce(
    prepared: OnnxModel,
    job: SampleJob,
    effort: Pick<EqualizeRequest, 'strength' | 'mostValues'>,
  ): Promise<OnnxModel> {
    const [threads, scratch, hooks] = [this.#threads, this.#scratch, this.#hooks];
    const request = { prepared, job, threads, scratch, hooks, ...effort };
    const { model, isWhole } = await equalizeModel(request);
    const { strength } = effort;
    // Asked for, it would be the same again.
    if (isWhole) this.#equalized.set(JSON.stringify({ strength }), Promise.resolve(model));
    return model;
  }

  async unmatched(scheme: Scheme): Promise<readonly string[]> {
    if (isQuantized(this.#float)) return unmatched(scheme, [this.#float]);
    return unmatched(scheme, [this.#float, await this.#prepare()]);
  }

  /** Folded and tidied, computing the same function. */
  #prepare(): Promise<OnnxModel> {
    return (this.#prepared ??= this.#prepareOnce());
  }

  async #prepareOnce(): Promise<OnnxModel> {
    return simplify(withOneFloat(await this.#fold()));
  }

  /** With every constant part computed. */
  async #fold(): Promise<OnnxModel> {
    this.#hooks.progress({ phase: 'preparing the model' });
    const exposed = exposeConstants(this.#float);
    return inChild({
      name: 'constant folding',
      signal: this.#hooks.signal,
      scratch: this.#scratch,
      use: async (worker) => {
        const { model, warnings } = await foldConstants(exposed, async (chunks) => {
          const request = { model: Buffer.concat(chunks) };
          const args = { timeoutMs: LOAD_TIMEOUT_MS };
          return toTensors(await worker.call('constants', request, args));
        });
        this.warnings.push(...warnings);
        return model;
      },
    });
  }

  /**
   * What the calibration samples showed, with all that `observer` needs: taken once for all schemes,
   * and again only when a later one needs histograms.
   */
  async collection(observer: Scheme['observer']): Promise<Collection> {
    return this.#collectionOf(await this.#prepare(), needsOf(observer, true));
  }

  #collectionOf(model: OnnxModel, needs: ObserverNeeds): Promise<Collection> {
    const known = this.#collected.get(model);
    if (known !== undefined && (known.needs.histogram || !needs.histogram)) return known.collection;
    const collection = this.#collect(model, needs);
    this.#collected.set(model, { needs, collection });
    return collection;
  }

  /** What meets the weights of each layer; nothing where ranges stand in for samples. */
  async #layerInputs(prepared: OnnxModel, statistics: Statistics): Promise<LayerInputs> {
    const job = this.#calibration;
    if (job === null || this.#ranges !== null) return new Map();
    const made =
      this.#layers.get(prepared) ??
      sampleLayers(layersOf(prepared), job, {
        statistics,
        threads: this.#threads,
        scratch: this.#scratch,
        hooks: this.#hooks,
      });
    this.#layers.set(prepared, made);
    return made;
  }

  async #collect(prepared: OnnxModel, needs: ObserverNeeds): Promise<Collection> {
    if (this.#ranges !== null) return this.#ranges;
    const job = this.#calibration;
    if (job === null) {
      const message = 'static INT8 needs calibration samples: give --samples or a manifest';
      throw new FitError('bad-samples', message);
    }
    const opened = openBodies(prepared, tensorsToObserve(prepared.graph));
    const [scratch, hooks] = [this.#scratch, this.#hooks];
    const found = await inChild({
      name: 'calibration',
      signal: hooks.signal,
      scratch,
      use: (worker) =>
        calibrate({
          model: opened.model,
          tensors: opened.tensors,
          needs,
          job,
          count: this.#count,
          threads: this.#threads,
          exposedBytes: this.#exposedBytes,
          worker,
          scratch,
          hooks,
        }),
    });
    const collection = opened.restore(found);
    this.warnings.push(...nonFiniteWarnings(collection, maskedTensors(prepared.graph)));
    return collection;
  }
}

/** A copy of the float model is no FP16 version of it. */
function refuseNoHalves(rows: readonly OpReport[]): void {
  if (rows.some(({ precision }) => precision === 'fp16')) return;
  const [first] = rows;
  const why = first === undefined ? 'it has no float32' : `${first.op}: ${first.reason ?? 'float'}`;
  throw new QuantizeError('NOTHING_TO_QUANTIZE', `nothing of this model can be float16: ${why}`);
}

function floatOps({ graph }: OnnxModel): OpReport[] {
  const reason = 'float was chosen';
  return [...allNodes(graph)].map((node) => {
    return { node: nodeLabel(node), op: opName(node), precision: 'float', reason };
  });
}

function layersOf(prepared: OnnxModel): Layers {
  return {
    layers: layersToSample(prepared.graph),
    expose: (tensors) => exposeTensors(prepared, tensors),
  };
}
