import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { ID_PATTERN } from '../../../contracts/ids.ts';
import { checked } from '../checked.ts';
import { benchCsv, compareBenches, compareCsv } from '../compare.ts';
import { ApiFailure } from '../error.ts';
import type { BenchArrival, HistoryStore } from '../ports.ts';

const id = z.string().regex(ID_PATTERN);
const format = z.enum(['json', 'csv']).default('json');
const listSchema = z.object({ device: id.optional() });
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
    const { device } = checked(listSchema, query);
    return { benches: await history.benches(device ?? null) };
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

/** Ids hold nothing that a file name or a header could be broken out of with. */
function sendCsv(reply: FastifyReply, name: string, text: string): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-disposition', `attachment; filename="${name}.csv"`)
    .send(text);
}
