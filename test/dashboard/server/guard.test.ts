import fastify from 'fastify';
import { expect, test } from '@jest/globals';
import { Guard } from '../../../agent/dashboard/server/access/guard.ts';
import { Sessions } from '../../../agent/dashboard/server/access/sessions.ts';
import { Users } from '../../../agent/dashboard/server/access/users.ts';

test('a route that does not say who may use it cannot be added', () => {
  const app = fastify();
  new Guard({
    users: new Users('/nonexistent', () => undefined),
    sessions: new Sessions({ idleMs: 1, totalMs: 1 }, () => 0),
    proxy: null,
    site: { hosts: null, origin: null, isLocal: false },
  }).protect(app);
  expect(() => app.get('/api/new', () => 'x')).toThrow('/api/new does not say who may use it');
  expect(() => app.get('/api/old', { config: { access: 'viewer' } }, () => 'x')).not.toThrow();
});
