import type { z } from 'zod';

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
