import type { Collection } from '../../calibration/observers/statistics.ts';
import { needsOf, nonFiniteWarnings } from '../../calibration/observers/statistics.ts';
import type { ObserverNeeds } from '../../calibration/observers/accumulator.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import { exposeTensors } from '../../model/tflite/expose.ts';
import type { TfliteModel } from '../../model/tflite/types.ts';
import type { Statistics } from '../../model/statistics.ts';
import { quantizeDynamic } from '../../quantize/tflite/dynamic.ts';
import { foldFakeQuant } from '../../quantize/tflite/fake-quant.ts';
import { storeExactHalves, toFp16 } from '../../quantize/tflite/fp16.ts';
import { layersToSample } from '../../quantize/tflite/layers.ts';
import { prepareTflite } from '../../quantize/tflite/prepare/prepare.ts';
import type { Quantized } from '../../quantize/report.ts';
import { isQuantizedTflite } from '../../quantize/tflite/recognize.ts';
import { withStates } from '../../quantize/tflite/recurrent/states.ts';
import { quantizeStatic, tensorsToObserve } from '../../quantize/tflite/static.ts';
import { quantizeWeights } from '../../quantize/tflite/weight-only.ts';
import { inChild } from '../children.ts';
import { FitError } from '../errors.ts';
import { observerToCollect, statisticsFor, unmatchedAmong } from '../make/recipe.ts';
import { effortOf } from '../calibrate/equalize.ts';
import { sampleLayers } from '../calibrate/sample-layers.ts';
import type { LayerInputs } from '../calibrate/sample-layers.ts';
import type { MadeVersion, MakerOptions, VersionMaker } from '../search/version-maker.ts';
import { keepQuantized } from './already-quantized.ts';
import { calibrateTflite } from './calibrate.ts';
import { equalizeTflite, valuesOfChannels } from './equalize.ts';
import { accountOf, namedOperators, withUniqueNames } from './operators.ts';

/** The model that versions are made of: no fake quantization, constants in float32. */
interface Prepared {
  readonly model: TfliteModel;
  /** Ranges that were trained with the model, by tensor: they need no calibration. */
  readonly trained: ReadonlyMap<string, { readonly min: number; readonly max: number }>;
}

const REFINEMENTS: VersionMaker['refinements'] = new Set(['equalized', 'rounded']);

interface Collected {
  readonly needs: ObserverNeeds;
  readonly collection: Promise<Collection>;
}

/** Makes quantized versions of one TFLite model. */
export class TfliteMaker implements VersionMaker {
  readonly refinements = REFINEMENTS;
  readonly #options: MakerOptions<TfliteModel>;
  readonly warnings: string[] = [];
  #prepared: Prepared | undefined;
  /** The prepared model equalized, by how strongly. */
  readonly #equalized = new Map<number | undefined, Promise<TfliteModel>>();
  readonly #collected = new Map<TfliteModel, Collected>();
  /** What meets the weights of each layer, by model. */
  readonly #layers = new Map<TfliteModel, Promise<LayerInputs>>();

  constructor(options: MakerOptions<TfliteModel>) {
    this.#options = options;
  }

  async make(scheme: Scheme): Promise<MadeVersion> {
    const { float } = this.#options;
    if (isQuantizedTflite(float)) return keepQuantized(float, scheme);
    const { model, ...made } = await this.#make(scheme);
    return { ...made, model: holdsHalves(float) ? storeExactHalves(model) : model };
  }

  async #make(scheme: Scheme): Promise<Quantized<TfliteModel>> {
    const { model } = this.#prepare();
    if (scheme.method === 'none') return { model, ops: accountOf(model, 'float was chosen') };
    if (scheme.method === 'fp16') return toFp16(model, scheme);
    if (scheme.method === 'dynamic') return quantizeDynamic(model, scheme);
    if (scheme.method === 'weight-only') return quantizeWeights(model, scheme);
    if (scheme.method !== 'static') {
      throw new FitError('no-runtime', `the method '${scheme.method}' cannot be made`);
    }
    const equalized = await this.#equalize(scheme);
    const statistics = await this.#statistics(equalized, scheme);
    const layers =
      scheme.rounding === 'adaptive' ? await this.#layerInputs(equalized, statistics) : undefined;
    const known = layers === undefined ? statistics : { ...statistics, layers };
    return quantizeStatic(equalized, known, scheme);
  }

  /** The prepared model with its channels equalized, where the scheme lets it and it promises a gain. */
  #equalize(scheme: Scheme): Promise<TfliteModel> {
    const { model, trained } = this.#prepare();
    const { calibration: job, ranges, threads, scratch, hooks } = this.#options;
    const effort = effortOf(scheme);
    // Ranges that were taken elsewhere, or trained, are those of the model as it is.
    const isFixed = (ranges !== null && ranges !== undefined) || trained.size > 0;
    if (job === null || isFixed || effort === undefined) return Promise.resolve(model);
    const { strength, mostValues = Infinity } = effort;
    if (valuesOfChannels(model) > mostValues) return Promise.resolve(model);
    // Asked for or not, it is the same where it is done.
    const made =
      this.#equalized.get(strength) ??
      equalizeTflite(model, { job, threads, scratch, hooks, strength });
    this.#equalized.set(strength, made);
    return made;
  }

  async collection(observer: Scheme['observer']): Promise<Collection> {
    return this.#collection(this.#prepare().model, needsOf(observer, true));
  }

  unmatched(scheme: Scheme): Promise<readonly string[]> {
    const { model } = this.#prepare();
    const all = [...namedOperators(model)].map(({ named }) => named);
    return Promise.resolve(unmatchedAmong(scheme, all));
  }

  #prepare(): Prepared {
    if (this.#prepared !== undefined) return this.#prepared;
    this.#options.hooks.progress({ phase: 'preparing the model' });
    const { float } = this.#options;
    const { model, ranges } = foldFakeQuant(float);
    const batch = openBatch(float);
    if (batch !== undefined) {
      this.warnings.push(
        `versions take batches of ${batch}: the file leaves the batch open, which keeps XNNPACK out`,
      );
    }
    const sparse = sparseWeights(float);
    if (sparse > 0) {
      const held = sparse === 1 ? '1 weight tensor is' : `${sparse} weight tensors are`;
      this.warnings.push(
        `${held} stored sparsely: versions hold all their zeros, and run without XNNPACK's sparse kernels, which the file as it is may have`,
      );
    }
    this.#prepared = {
      model: withUniqueNames(prepareTflite(model, { fixBatch: true })),
      trained: ranges,
    };
    return this.#prepared;
  }

  /** What calibration found, with what a recipe says and what was trained in its place. */
  async #statistics(model: TfliteModel, scheme: Scheme): Promise<Statistics> {
    const { trained } = this.#prepare();
    const collection = await this.#collection(model, needsOf(observerToCollect(scheme), true));
    const found = statisticsFor(collection, scheme, namedOperators(model));
    const tensors = new Map(found.tensors);
    for (const [name, { min, max }] of trained) {
      const seen = tensors.get(name);
      if (seen !== undefined) tensors.set(name, { ...seen, min, max });
    }
    return { ...found, tensors };
  }

  /** What meets the weights of each layer; nothing where ranges stand in for samples. */
  async #layerInputs(model: TfliteModel, statistics: Statistics): Promise<LayerInputs> {
    const { calibration: job, ranges, threads, scratch, hooks } = this.#options;
    if (job === null || (ranges !== null && ranges !== undefined)) return new Map();
    const made =
      this.#layers.get(model) ??
      sampleLayers(
        { layers: layersToSample(model), expose: (tensors) => exposeTensors(model, tensors) },
        job,
        { statistics, threads, scratch, hooks },
      );
    this.#layers.set(model, made);
    return made;
  }

  #collection(model: TfliteModel, needs: ObserverNeeds): Promise<Collection> {
    const known = this.#collected.get(model);
    if (known !== undefined && (known.needs.histogram || !needs.histogram)) return known.collection;
    const collection = this.#collect(model, { ...needs, channelsLast: true });
    this.#collected.set(model, { needs, collection });
    return collection;
  }

  async #collect(model: TfliteModel, needs: ObserverNeeds): Promise<Collection> {
    const { ranges, calibration: job, calibrationCount, scratch, hooks } = this.#options;
    const { threads, exposedBytes } = this.#options;
    if (ranges !== null && ranges !== undefined) return ranges;
    if (job === null) {
      const message = 'static INT8 needs calibration samples: give --samples or a manifest';
      throw new FitError('bad-samples', message);
    }
    const collection = await inChild({
      name: 'calibration',
      signal: hooks.signal,
      scratch,
      use: (worker) =>
        calibrateTflite(withStates(model), tensorsToObserve(model), {
          needs,
          job,
          count: calibrationCount,
          threads,
          exposedBytes,
          worker,
          scratch,
          hooks,
        }),
    });
    this.warnings.push(...nonFiniteWarnings(collection));
    return collection;
  }
}

/** Constants of which only a part is written down. */
const sparseWeights = ({ subgraphs }: TfliteModel): number =>
  subgraphs.flatMap(({ tensors }) => tensors.filter(({ sparsity }) => sparsity !== undefined))
    .length;

/** Only what was in 16 bits is to stay so: of another file it would cost a decoder per constant. */
const holdsHalves = ({ subgraphs }: TfliteModel): boolean =>
  subgraphs.some(({ tensors }) => tensors.some(({ type }) => type === 'FLOAT16'));

/** The batch that will be fixed, where the file leaves it open. */
function openBatch({ subgraphs: [main] }: TfliteModel): number | undefined {
  const inputs = main?.inputs.flatMap((at) => main.tensors[at] ?? []) ?? [];
  const open = inputs.find(({ shapeSignature }) => (shapeSignature?.[0] ?? 0) < 0);
  return open?.shape[0];
}
