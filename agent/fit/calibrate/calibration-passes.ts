import type { Collected, ReducedTensors } from '../../calibration/collect.ts';
import type { ObserverNeeds } from '../../calibration/observers/accumulator.ts';
import type { Collection } from '../../calibration/observers/statistics.ts';
import { dropUnused } from '../../model/onnx/edit.ts';
import { exposeTensors } from '../../model/onnx/expose.ts';
import { withGraph, writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { canSkipValues, reduceTensors } from '../../model/onnx/reduce.ts';
import type { Reduced } from '../../model/onnx/reduce.ts';
import type { TensorDescription } from '../../runtime/types.ts';
import { MOST_EXPOSED_BYTES, groupBySize, sampleValues, valuesIn } from './calibration-groups.ts';
import { Findings, runPass } from './calibration-run.ts';
import type { CalibrationPass, CalibrationRun } from './calibration-run.ts';
import { writeScratchFile } from '../scratch.ts';

/** What to calibrate, on what, and where. */
export interface Calibration extends CalibrationRun {
  /** What is run; its tensors keep their names. */
  readonly model: OnnxModel;
  /** Tensors of the main graph to observe. Integers among them are passed over. */
  readonly tensors: readonly string[];
}

const EXTREMES_ONLY: ObserverNeeds = { histogram: false, channels: true };

/** Passes over the calibration samples; what they found is kept here. */
export class CalibrationPasses {
  readonly #calibration: Calibration;
  readonly #findings = new Findings();

  constructor(calibration: Calibration) {
    this.#calibration = calibration;
  }

  /** What was found, in the order of `names`. */
  collection(names: readonly string[]): Collection {
    return this.#findings.collection(names);
  }

  /**
   * One pass in which the runtime reduces `tensors`, beside `others` that are looked at themselves.
   * So are tensors with values that are not finite: from the start where the first sample has some,
   * else in a pass of their own.
   */
  async reduce(tensors: readonly TensorDescription[], others: readonly string[]): Promise<void> {
    const { model, needs, job } = this.#calibration;
    const reduced = reduceTensors(model, tensors, others);
    const found = await this.#run(reduced.model, {
      job,
      reduced: reducedTensors(reduced),
      tensors: others,
      needs,
    });
    const { odd } = found;
    const isOdd = new Set(odd);
    const rest = tensors.filter(({ name }) => !isOdd.has(name));
    if (odd.length > 0 && found.samples === 1) return this.reduce(rest, [...others, ...odd]);
    this.#findings.keep(found);
    if (odd.length > 0)
      await this.observe(
        [],
        tensors.filter(({ name }) => isOdd.has(name)),
      );
  }

  /**
   * The same with values for histograms, a group of tensors in each pass; what has values that are not
   * finite is looked at in passes of its own.
   */
  async sample(inputs: readonly string[], tensors: readonly TensorDescription[]): Promise<void> {
    const counts = await this.#valueCounts(tensors);
    const most = canSkipValues(this.#calibration.model) ? undefined : Infinity;
    const sampled = tensors.map((one) => sampleValues(one, counts.get(one.name), most));
    const odd: TensorDescription[] = [];
    let others = inputs;
    const { exposedBytes = MOST_EXPOSED_BYTES } = this.#calibration;
    for (const group of groupBySize(sampled, exposedBytes, ({ bytes }) => bytes)) {
      // oxlint-disable-next-line no-await-in-loop -- one group in memory at a time
      odd.push(...(await this.#sampleGroup(others, group)));
      others = [];
    }
    if (others.length + odd.length > 0) await this.observe(others, odd);
  }

  /** One pass; returns what could not be summed up. */
  async #sampleGroup(
    inputs: readonly string[],
    group: readonly TensorDescription[],
  ): Promise<readonly TensorDescription[]> {
    const { model, job, needs } = this.#calibration;
    const reduced = reduceTensors(model, group, inputs);
    const found = await this.#run(reduced.model, {
      job,
      reduced: reducedTensors(reduced),
      tensors: inputs,
      needs,
    });
    const odd = group.filter(({ name }) => found.odd.includes(name));
    const rest = group.filter(({ name }) => !found.odd.includes(name));
    const stopped = odd.length > 0 && found.samples === 1;
    if (!stopped) this.#findings.keep(found);
    if (!stopped || rest.length + inputs.length === 0) return odd;
    return [...odd, ...(await this.#sampleGroup(inputs, rest))];
  }

  /** Looks at the values of inputs and of `tensors`, a group of them in each pass. */
  async observe(inputs: readonly string[], tensors: readonly TensorDescription[]): Promise<void> {
    const { model, needs, job, exposedBytes } = this.#calibration;
    const groups = groupBySize(tensors, exposedBytes).map((group) => group.map(({ name }) => name));
    const steps = groups.length === 0 && inputs.length > 0 ? [[]] : groups;
    for (const [index, group] of steps.entries()) {
      const names = index === 0 ? [...inputs, ...group] : group;
      const part = upTo(model, group);
      // oxlint-disable-next-line no-await-in-loop -- one group in memory at a time
      const found = await this.#run(part, { job, tensors: names, needs });
      this.#findings.keep(found);
    }
  }

  /** How many values tensors have; where only a run shows it, with the first sample. */
  async #valueCounts(tensors: readonly TensorDescription[]): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    const open = tensors.filter((tensor) => valuesIn(tensor) === undefined);
    const shapes = open.length === 0 ? [] : await this.#shapes(open);
    for (const { name, shape } of [...tensors, ...shapes]) {
      const count = valuesIn({ shape });
      if (count !== undefined) counts.set(name, count);
    }
    return counts;
  }

  async #shapes(tensors: readonly TensorDescription[]) {
    const { model, job } = this.#calibration;
    const reduced = reduceTensors(model, tensors);
    const from = job.from ?? 0;
    const first = { ...job, from, to: from + 1 };
    const found = await this.#run(reduced.model, {
      job: first,
      reduced: reducedTensors(reduced),
      tensors: [],
      needs: EXTREMES_ONLY,
    });
    return [...found.tensors].map(([name, { shape }]) => ({ name, shape }));
  }

  async #run(model: OnnxModel, pass: Omit<CalibrationPass, 'path' | 'again'>): Promise<Collected> {
    const path = this.#calibration.scratch.file('calibration.onnx');
    await writeScratchFile(path, writeOnnx(model));
    // With histograms one pass follows the other.
    return runPass(this.#calibration, { ...pass, path, again: pass.needs.histogram });
  }
}

function reducedTensors({ summary, reductions }: Reduced): ReducedTensors | undefined {
  return summary === null ? undefined : { summary, reductions };
}

/** The part of a model that computes some tensors, which are its only outputs. */
function upTo(model: OnnxModel, names: readonly string[]): OnnxModel {
  if (names.length === 0) return model;
  const { graph } = exposeTensors(model, names);
  const wanted = new Set(names);
  const output = graph.output.filter(({ name }) => wanted.has(name ?? ''));
  return withGraph(model, dropUnused({ ...graph, output }));
}
