import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { BenchLine } from '../../../contracts/dashboard.ts';
import { ID_PATTERN } from '../../../contracts/ids.ts';
import { checked } from '../checked.ts';
import { benchCsv, compareBenches, compareCsv } from '../compare.ts';
import { ApiFailure } from '../error.ts';
import { MAX_LINES } from '../history/limits.ts';
import type { BenchArrival, HistoryStore } from '../ports.ts';

const id = z.string().regex(ID_PATTERN);
const format = z.enum(['json', 'csv']).default('json');
/** Keys of the embedded history have four bytes for the seconds. */
const MAX_PLACE_MS = 2 ** 32 * 1000 - 1;
const listSchema = z.object({
  device: id.optional(),
  limit: z.coerce.number().int().min(1).max(MAX_LINES).default(MAX_LINES),
  before: z
    .string()
    .max(160)
    .transform((text) => text.split('/'))
    .pipe(z.tuple([z.string().regex(/^\d{1,13}$/), id, id], 'take it from next'))
    .transform(([ts, deviceId, benchId]) => ({ ts: Number(ts), deviceId, benchId }))
    .refine(({ ts }) => ts <= MAX_PLACE_MS, 'take it from next')
    .optional(),
});
const oneSchema = z.object({ device: id, bench: id });
const formatSchema = z.object({ format });
const reference = z
  .string()
  .max(130)
  .transform((text) => text.split('/'))
  .pipe(z.tuple([id, id], 'write DEVICE/BENCH'));
const compareSchema = z.object({ left: reference, right: reference, format });

/** Reports that devices sent, alone and in pairs. */
export function addBenchRoutes(
  app: FastifyInstance,
  { history }: { readonly history: HistoryStore },
): void {
  const viewer = { config: { access: 'viewer' } } as const;
  const find = async (device: string, bench: string): Promise<BenchArrival> => {
    const found = await history.bench(device, bench);
    if (found !== null) return found;
    throw new ApiFailure('not_found', `there is no report ${bench} of ${device}`);
  };
  app.get('/api/benches', viewer, async ({ query }) => {
    const { device, before = null, limit } = checked(listSchema, query);
    if (device !== undefined) return { benches: await history.benches(device), next: null };
    const benches = await history.allBenches({ before, limit });
    return { benches, next: nextOf(benches, limit) };
  });
  app.get('/api/benches/:device/:bench', viewer, async ({ params, query }, reply) => {
    const { device, bench } = checked(oneSchema, params);
    const found = await find(device, bench);
    if (checked(formatSchema, query).format === 'json') return found.report;
    return sendCsv(reply, `${device}-${bench}`, benchCsv(found));
  });
  app.get('/api/compare', viewer, async ({ query }, reply) => {
    const wanted = checked(compareSchema, query);
    const [left, right] = await Promise.all([find(...wanted.left), find(...wanted.right)]);
    const compared = compareBenches(left, right);
    if (wanted.format === 'json') return compared;
    return sendCsv(reply, 'comparison', compareCsv(compared));
  });
}

/** Where the list goes on; null at its end. */
function nextOf(benches: readonly BenchLine[], limit: number): string | null {
  const last = benches.at(-1);
  if (last === undefined || benches.length < limit) return null;
  return `${Date.parse(last.ts)}/${last.deviceId}/${last.benchId}`;
}

/** Ids hold nothing that a file name or a header could be broken out of with. */
function sendCsv(reply: FastifyReply, name: string, text: string): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-disposition', `attachment; filename="${name}.csv"`)
    .send(text);
}
