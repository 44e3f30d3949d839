import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiFailure } from './error.ts';

const MINUTE_MS = 60_000;

/** Throws ApiFailure `rate_limited` where there are more requests in a minute. */
export type Limiter = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

/** At most `max` requests of one key in a minute; `what` there is too much of, for the answer. */
export function limiter(
  app: FastifyInstance,
  max: number,
  keyGenerator: (request: FastifyRequest) => string,
  what: string,
): Limiter {
  const check = app.createRateLimit({ max, timeWindow: MINUTE_MS, keyGenerator });
  return async (request, reply) => {
    const limit = await check(request);
    if (limit.isAllowed || !limit.isExceeded) return;
    reply.header('retry-after', limit.ttlInSeconds);
    throw new ApiFailure('rate_limited', `too many ${what}: try again in ${limit.ttlInSeconds} s`);
  };
}

/** At most `max` requests of one user in a minute, in however many tabs. */
export function userLimiter(app: FastifyInstance, max: number): Limiter {
  return limiter(app, max, ({ identity }) => identity?.user ?? '', 'requests');
}
