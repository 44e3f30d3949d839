import type { z } from 'zod';
import { ApiFailure } from './error.ts';

/** What came, as the schema wants it. Throws ApiFailure bad_request, naming the field. */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  const why = issue?.message ?? 'it is not as expected';
  throw new ApiFailure('bad_request', field === '' ? why : `${field}: ${why}`);
}
