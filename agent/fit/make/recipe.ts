import { z } from 'zod';
import { recipeSchema } from '../../contracts/recipe.ts';
import type { Recipe } from '../../contracts/recipe.ts';
import type { Scheme, SchemeName } from '../../contracts/scheme.ts';
import type { Collection } from '../../calibration/observers/statistics.ts';
import { needsOf, toStatistics } from '../../calibration/observers/statistics.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { GraphProto } from '../../model/onnx/generated/messages.ts';
import { allNodes, indexGraph, opName, subgraphsOf } from '../../model/onnx/graph.ts';
import type { Statistics, TensorStatistics } from '../../model/statistics.ts';
import { matches, ruleFor } from '../../quantize/excluded.ts';
import type { Named } from '../../quantize/excluded.ts';
import { namedNode } from '../../quantize/onnx/excluded.ts';
import { messageOf } from '../../util/errors.ts';
import { readNamedText } from '../../util/read.ts';
import { FitError } from '../errors.ts';

const MAX_RECIPE_BYTES = 64 * 1024 * 1024;

/** A recipe, or the report of an earlier run, which has one in it. */
const fileSchema = z.union([
  recipeSchema,
  z.object({ schema: z.literal('edgefit/quantize/1'), recipe: recipeSchema }),
]);

/** Reads `--recipe FILE`. Throws FileError, or FitError with the place of what is wrong. */
export async function readRecipe(path: string): Promise<Recipe> {
  const file = fileSchema.safeParse(parseJson(await readNamedText(path, MAX_RECIPE_BYTES), path));
  if (file.success) return 'recipe' in file.data ? file.data.recipe : file.data;
  throw new FitError('bad-recipe', `${path}: ${firstIssue(file.error.issues)}`);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FitError('bad-recipe', `${path} is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** Of the two forms, the errors of the one that is nearer. */
function firstIssue(issues: readonly z.core.$ZodIssue[]): string {
  const [issue] = issues;
  if (issue?.code === 'invalid_union') {
    const [recipe = []] = issue.errors;
    const isRecipe = recipe.every(({ path }) => path.length > 0 && path[0] !== 'schema');
    if (!isRecipe) return 'is neither a recipe (edgefit/recipe/1) nor the report of agent quantize';
    return firstIssue(recipe);
  }
  const where = issue?.path.join('.') ?? '';
  return `${where === '' ? '' : `${where}: `}${issue?.message ?? 'is no recipe'}`;
}

/** What only static schemes look at, in the recipe and in its rules. */
const OF_STATIC = [
  'activations',
  'observer',
  'format',
  'io',
  'equalize',
  'smooth',
  'rounding',
  'biases',
  'rowScales',
] as const;
const OF_STATIC_RULES = ['observer', 'range'] as const;

/**
 * A scheme as a recipe changes it.
 * @throws FitError for what the scheme would pass over without a word, and for what cannot go together
 */
export function applyRecipe(scheme: Scheme, recipe: Recipe): Scheme {
  if (scheme.method !== 'static') refuseStatic(recipe);
  const { schema: _schema, scheme: _scheme, ...changes } = recipe;
  const said = Object.entries(changes).filter(([, value]) => value !== undefined);
  const made: Scheme = { ...scheme, ...Object.fromEntries(said) };
  if (made.equalize === true && hasRanges(made)) {
    throw new FitError(
      'bad-recipe',
      'equalize rescales the tensors that a rule gives a range to: leave out equalize, or the range',
    );
  }
  return made;
}

/** Whether a rule says which range a tensor has. */
export function hasRanges({ rules = [] }: Scheme): boolean {
  return rules.some(({ range }) => range !== undefined);
}

function refuseStatic(recipe: Recipe): void {
  const own = OF_STATIC.find((field) => recipe[field] !== undefined && recipe[field] !== null);
  const inRule = OF_STATIC_RULES.find((field) =>
    (recipe.rules ?? []).some((rule) => rule[field] !== undefined),
  );
  const field = own ?? inRule;
  if (field === undefined) return;
  throw new FitError(
    'bad-recipe',
    `${field} means nothing to the scheme ${recipe.scheme}: leave it out`,
  );
}

/** The recipe that makes the same again. */
export function toRecipe(name: SchemeName, scheme: Scheme): Recipe {
  const { method: _method, weights: _weights, integerOnly: _integerOnly, ...rest } = scheme;
  const { excluded, rules, ...all } = rest;
  const { observer, activations, ...others } = all;
  const said = scheme.method === 'static' ? { ...others, observer, activations } : others;
  return {
    schema: 'edgefit/recipe/1',
    scheme: name,
    ...said,
    excluded: [...excluded],
    ...(rules === undefined ? {} : { rules: rules.map(toRule) }),
  };
}

function toRule({ range, ...rule }: NonNullable<Scheme['rules']>[number]) {
  return { ...rule, ...(range === undefined ? {} : { range: [...range] as [number, number] }) };
}

/** Whether any range needs a histogram of the values. */
export function observerToCollect({ observer, rules = [] }: Scheme): Scheme['observer'] {
  const all = [observer, ...rules.flatMap((rule) => rule.observer ?? [])];
  return all.find((one) => needsOf(one).histogram) ?? observer;
}

/** What was collected, with the ranges that a scheme and its rules ask for. */
export function statisticsFor(
  collection: Collection,
  scheme: Scheme,
  operations: Iterable<Operation>,
): Statistics {
  const statistics = toStatistics(collection, scheme.observer);
  if (scheme.rules === undefined) return statistics;
  const tensors = new Map(statistics.tensors);
  const byObserver = new Map([[scheme.observer, statistics]]);
  for (const { named, outputs } of operations) {
    const { observer, range } = ruleFor(scheme, named);
    for (const name of outputs) {
      if (observer !== undefined) {
        const own = byObserver.get(observer) ?? toStatistics(collection, observer);
        byObserver.set(observer, own);
        put(tensors, name, own.tensors.get(name));
      }
      const seen = tensors.get(name);
      if (range !== undefined && seen !== undefined) {
        tensors.set(name, { ...seen, min: range[0], max: range[1] });
      }
    }
  }
  return { ...statistics, tensors };
}

/** An operation as rules see it, with the tensors whose ranges they set. */
export interface Operation {
  readonly named: Named;
  readonly outputs: readonly string[];
}

/** Every node with what it makes; and where a clamp alone reads that, with what the clamp lets through. */
export function* onnxOperations(graph: GraphProto): Generator<Operation> {
  const { consumers } = indexGraph(graph);
  for (const node of graph.node) {
    for (const body of subgraphsOf(node)) yield* onnxOperations(body);
    const behind = node.output.flatMap((name) => {
      const [reader, ...others] = consumers.get(name) ?? [];
      const alone = reader !== undefined && others.length === 0;
      return alone && ['Relu', 'Clip'].includes(opName(reader)) ? reader.output : [];
    });
    yield { named: namedNode(node), outputs: [...node.output, ...behind] };
  }
}

function put(
  tensors: Map<string, TensorStatistics>,
  name: string,
  found: TensorStatistics | undefined,
): void {
  if (found !== undefined) tensors.set(name, found);
}

/**
 * Names and rules that match no operation: spelling mistakes, most often. Operations may be named as
 * they are in the file or as a report names them, which is after preparation.
 */
export function unmatchedAmong(
  { excluded, rules = [] }: Scheme,
  all: readonly Named[],
): readonly string[] {
  const names = new Set(all.flatMap((one) => one.names));
  return [
    ...excluded
      .filter((name) => !names.has(name))
      .map((name) => `excluded: '${name}' is no node of the model`),
    ...rules.flatMap((rule, index) =>
      all.some((one) => matches(rule, one)) ? [] : [`rule ${index + 1} matches no node`],
    ),
  ];
}

/** The same among the nodes of ONNX models. */
export function unmatched(scheme: Scheme, models: readonly OnnxModel[]): readonly string[] {
  const nodes = models.flatMap(({ graph }) => [...allNodes(graph)]);
  return unmatchedAmong(scheme, nodes.map(namedNode));
}
