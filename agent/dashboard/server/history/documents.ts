import type { z } from 'zod';
import { seldom } from '../seldom.ts';

/** What was stored as JSON, or null for what this version cannot read any more. */
export function parsedJson<Schema extends z.ZodType>(
  schema: Schema,
  text: string | undefined,
): z.output<Schema> | null {
  if (text === undefined) return null;
  try {
    const result = schema.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    // A damaged value is as good as none.
    return null;
  }
}

/** To be called for each line that is passed over: it is said now and then, and how often. */
export function unreadableCounter(warn: (message: string) => void): () => void {
  const tell = seldom(warn);
  return () => tell('a line of the history cannot be read: it is passed over');
}
