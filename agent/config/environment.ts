import { z } from 'zod';
import { configSchema } from '../contracts/config.ts';
import type { KeyPath } from './yaml-text.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A key of the configuration and the variable that overrides it. */
export interface Leaf {
  readonly path: readonly string[];
  readonly variable: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'list';
}

/** `mqtt.keepAliveSeconds` is `EDGEFIT_MQTT_KEEP_ALIVE_SECONDS`. */
function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`));
  return `EDGEFIT_${words.join('_').toUpperCase()}`;
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodOptional
  ) {
    inner = inner.unwrap();
  }
  return inner;
}

function kindOf(schema: unknown): Leaf['kind'] {
  if (schema instanceof z.ZodArray) return 'list';
  if (schema instanceof z.ZodBoolean) return 'boolean';
  return schema instanceof z.ZodNumber ? 'number' : 'text';
}

function leavesOf(schema: z.ZodObject, above: readonly string[]): readonly Leaf[] {
  return Object.entries(schema.shape).flatMap(([key, field]): readonly Leaf[] => {
    const path = [...above, key];
    const inner = unwrap(field);
    if (inner instanceof z.ZodObject) return leavesOf(inner, path);
    return [{ path, variable: variableOf(path), kind: kindOf(inner) }];
  });
}

/** Every key that can be set, in the order of the schema. */
export const configLeaves: readonly Leaf[] = leavesOf(configSchema, []);

export interface Override {
  readonly path: KeyPath;
  readonly variable: string;
  readonly value: unknown;
}

/** What the environment says; an empty variable counts as not set. */
export function overridesFrom(env: Environment): readonly Override[] {
  return configLeaves.flatMap(({ path, variable, kind }): readonly Override[] => {
    const text = env[variable];
    if (text === undefined || text === '') return [];
    return [{ path, variable, value: valueOf(text, kind) }];
  });
}

/** A text that is not of its kind stays a text, so that the schema can refuse it with its words. */
function valueOf(text: string, kind: Leaf['kind']): unknown {
  if (kind === 'list') return text.split(',').map((item) => item.trim());
  if (kind === 'boolean' && /^(true|false)$/.test(text.trim())) return text.trim() === 'true';
  if (kind === 'number' && /^-?\d+(\.\d+)?$/.test(text.trim())) return Number(text);
  return text;
}
