import type { FastifyInstance } from 'fastify';

/** Nothing but our own files, no inline script or style, no frames, no forms to elsewhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
};

const YEAR_SECONDS = 31_536_000;

/** What every answer carries, whatever it is. */
export function addHeaders(app: FastifyInstance, isTls: boolean): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (isTls) reply.header('strict-transport-security', `max-age=${YEAR_SECONDS}`);
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store');
  });
}
