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
import { sampleLayers } from '../calibrate/sample-layers.ts';
import type { LayerInputs } from '../calibrate/sample-layers.ts';
import type { MadeVersion, MakerOptions, VersionMaker } from '../search/version-maker.ts';
import { keepQuantized } from './already-quantized.ts';
import { calibrateTflite } from './calibrate.ts';
import { accountOf, namedOperators, withUniqueNames } from './operators.ts';

/** The model that versions are made of: no fake quantization, constants in float32. */
interface Prepared {
  readonly model: TfliteModel;
  /** Ranges that were trained with the model, by tensor: they need no calibration. */
  readonly trained: ReadonlyMap<string, { readonly min: number; readonly max: number }>;
}

const REFINEMENTS: VersionMaker['refinements'] = new Set(['rounded']);

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
  #collected: Collected | undefined;
  #layers: Promise<LayerInputs> | undefined;

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
    const statistics = await this.#statistics(scheme);
    const layers = scheme.rounding === 'adaptive' ? await this.#layerInputs(statistics) : undefined;
    const known = layers === undefined ? statistics : { ...statistics, layers };
    return quantizeStatic(model, known, scheme);
  }

  async collection(observer: Scheme['observer']): Promise<Collection> {
    return this.#collection(needsOf(observer, true));
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
  async #statistics(scheme: Scheme): Promise<Statistics> {
    const { model, trained } = this.#prepare();
    const collection = await this.#collection(needsOf(observerToCollect(scheme), true));
    const found = statisticsFor(collection, scheme, namedOperators(model));
    const tensors = new Map(found.tensors);
    for (const [name, { min, max }] of trained) {
      const seen = tensors.get(name);
      if (seen !== undefined) tensors.set(name, { ...seen, min, max });
    }
    return { ...found, tensors };
  }

  /** What meets the weights of each layer; nothing where ranges stand in for samples. */
  async #layerInputs(statistics: Statistics): Promise<LayerInputs> {
    const { calibration: job, ranges, threads, scratch, hooks } = this.#options;
    if (job === null || (ranges !== null && ranges !== undefined)) return new Map();
    const { model } = this.#prepare();
    this.#layers ??= sampleLayers(
      { layers: layersToSample(model), expose: (tensors) => exposeTensors(model, tensors) },
      job,
      { statistics, threads, scratch, hooks },
    );
    return this.#layers;
  }

  #collection(needs: ObserverNeeds): Promise<Collection> {
    const known = this.#collected;
    if (known !== undefined && (known.needs.histogram || !needs.histogram)) return known.collection;
    const collection = this.#collect({ ...needs, channelsLast: true });
    this.#collected = { needs, collection };
    return collection;
  }

  async #collect(needs: ObserverNeeds): Promise<Collection> {
    const { ranges, calibration: job, calibrationCount, scratch, hooks } = this.#options;
    const { threads, exposedBytes } = this.#options;
    if (ranges !== null && ranges !== undefined) return ranges;
    if (job === null) {
      const message = 'static INT8 needs calibration samples: give --samples or a manifest';
      throw new FitError('bad-samples', message);
    }
    const { model } = this.#prepare();
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
