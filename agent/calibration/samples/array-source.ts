import { basename } from 'node:path';
import { elementTypes } from '../../contracts/element-types.ts';
import type { Tensor, TensorData } from '../../runtime/types.ts';
import { type ArrayMember, openNpy, openNpz, type RecordReader } from './arrays.ts';
import { SampleError, shapeText } from './error.ts';
import { checkShape, constantFeeds, feedFromArray, neededInputs } from './plan.ts';
import type { InputPlan, RawSource, Sample } from './types.ts';

const LABELS = 'labels';
const INTEGERS = new Set<string>(elementTypes.filter((type) => /^u?int/.test(type)));

interface Bound {
  readonly plan: InputPlan;
  readonly member: ArrayMember;
}

/** A .npy file: the values of the model's only input that is not constant. */
export async function openNpySource(path: string, plans: readonly InputPlan[]): Promise<RawSource> {
  const [plan, ...more] = neededInputs(plans);
  if (plan === undefined || more.length > 0) {
    const names = neededInputs(plans).map(({ name }) => name);
    const advice = `a .npy file feeds one input, the model takes ${names.length}`;
    throw new SampleError('unsupported', `${path}: ${advice} (${names.join(', ')}); use .npz`);
  }
  return arraySource(path, [{ plan, member: await openNpy(path) }], undefined, plans, []);
}

/** A .npz file: one array per input, and on request an integer array `labels`. */
export async function openNpzSource(path: string, plans: readonly InputPlan[]): Promise<RawSource> {
  const all = await openNpz(path);
  const needed = neededInputs(plans);
  const asInput = needed.some(({ name }) => name === LABELS);
  const labels = asInput ? undefined : all.get(LABELS);
  const arrays = new Map([...all].filter(([, member]) => member !== labels));
  const bound = bindByName(arrays, needed) ?? bindByPosition(arrays, needed);
  if (bound === null) {
    const missing = needed.find(({ name }) => !arrays.has(name))?.name ?? '';
    const there = [...arrays.keys()].join(', ') || 'none';
    throw new SampleError('missing', `${path}: no array for input ${missing} (there: ${there})`);
  }
  const used = new Set(bound.map(({ member }) => member));
  const spare = [...arrays].flatMap(([name, member]) => (used.has(member) ? [] : [name]));
  const notes = spare.length === 0 ? [] : [`${path}: ignored the arrays ${spare.join(', ')}`];
  return arraySource(path, bound, labels, plans, notes);
}

type Arrays = ReadonlyMap<string, ArrayMember>;

function bindByName(arrays: Arrays, needed: readonly InputPlan[]): readonly Bound[] | null {
  const bound = needed.flatMap((plan) => {
    const member = arrays.get(plan.name);
    return member === undefined ? [] : [{ plan, member }];
  });
  return bound.length === needed.length ? bound : null;
}

/** numpy.savez without names writes arr_0, arr_1 ...; a single array needs no name at all. */
function bindByPosition(arrays: Arrays, needed: readonly InputPlan[]): readonly Bound[] | null {
  if (arrays.size !== needed.length) return null;
  const [only] = arrays.values();
  const [plan] = needed;
  if (arrays.size === 1 && only !== undefined && plan !== undefined) {
    return [{ plan, member: only }];
  }
  return bindByName(
    new Map(
      needed.flatMap(({ name }, index) => {
        const member = arrays.get(`arr_${index}`);
        return member === undefined ? [] : [[name, member]];
      }),
    ),
    needed,
  );
}

function arraySource(
  path: string,
  bound: readonly Bound[],
  labels: ArrayMember | undefined,
  plans: readonly InputPlan[],
  warnings: readonly string[],
): RawSource {
  const count = bound[0]?.member.count ?? 0;
  const other = bound.find(({ member }) => member.count !== count);
  if (other !== undefined) {
    const counts = bound.map(({ plan, member }) => `${plan.name} ${member.count}`).join(', ');
    throw new SampleError('shape', `${path}: the arrays differ in their samples: ${counts}`);
  }
  for (const { plan, member } of bound) checkBound(plan, member);
  if (labels !== undefined) checkLabels(labels, count);
  return {
    count,
    labelled: labels !== undefined,
    what: `samples in ${path}`,
    warnings,
    read: (from, to) => readArrays(bound, labels, plans, [from, to ?? count], basename(path)),
  };
}

/** Refuses arrays of the wrong shape before the first sample is read. */
function checkBound({ spec, description }: InputPlan, { title, header }: ArrayMember): void {
  if ('image' in spec && header.dtype === 'uint8') return;
  const [, ...rest] = header.shape;
  const rank = description.shape.length;
  checkShape(header.shape.length === rank ? [1, ...rest] : rest, description, title);
}

function checkLabels({ header, count, title }: ArrayMember, samples: number): void {
  if (!INTEGERS.has(header.dtype) || header.shape.length > 2) {
    const got = `${header.dtype} ${shapeText(header.shape)}`;
    throw new SampleError(
      'labels',
      `${title}: must be integers of shape [N] or [N, k], got ${got}`,
    );
  }
  if (count >= samples) return;
  throw new SampleError('labels', `${title}: ${count} labels for ${samples} samples`);
}

async function* readArrays(
  bound: readonly Bound[],
  labels: ArrayMember | undefined,
  plans: readonly InputPlan[],
  [from, to]: readonly [number, number],
  file: string,
): AsyncGenerator<Sample> {
  const constants = constantFeeds(plans);
  const opened: RecordReader[] = [];
  const openAt = async (member: ArrayMember) => {
    const reader = await member.open(from);
    opened.push(reader);
    return reader;
  };
  try {
    const inputs: { readonly bound: Bound; readonly reader: RecordReader }[] = [];
    for (const one of bound) {
      // oxlint-disable-next-line no-await-in-loop -- so that a failure leaves none half open
      inputs.push({ bound: one, reader: await openAt(one.member) });
    }
    const labelReader = labels && (await openAt(labels));
    for (let index = from; index < to; index += 1) {
      const feeds: Record<string, Tensor> = { ...constants };
      for (const { bound: one, reader } of inputs) {
        // oxlint-disable-next-line no-await-in-loop -- members are streams, read in step
        feeds[one.plan.name] = recordFeed(one, await reader.next(), index);
      }
      // oxlint-disable-next-line no-await-in-loop -- as above
      const label = labelReader && labelOf(await labelReader.next(), labels?.header.shape.length);
      yield { feeds, name: `${file}[${index}]`, ...(label !== undefined && { label }) };
    }
  } finally {
    await Promise.allSettled(opened.map((reader) => reader.close()));
  }
}

function recordFeed({ plan, member }: Bound, data: TensorData, index: number): Tensor {
  const { dtype, shape } = member.header;
  return feedFromArray(plan, { dtype, shape: shape.slice(1), data }, `${member.title}[${index}]`);
}

/** A negative single label means unlabelled; in a list negative numbers are padding and stay. */
function labelOf(data: TensorData, rank: number | undefined): number | number[] | undefined {
  const values = Array.from<number | bigint | string, number>(data, Number);
  if (rank === 2) return values;
  const [value = -1] = values;
  return value < 0 ? undefined : value;
}
