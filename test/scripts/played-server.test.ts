import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  benchesSchema,
  compareSchema,
  deviceSchema,
  eventSchemas,
  fleetSchema,
  historySchema,
  modelsSchema,
  rolloutAnswerSchema,
  rolloutsSchema,
  sessionSchema,
} from '../../agent/contracts/dashboard.ts';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { benchId, deviceId, playedServer, ROLLOUT } from '../../scripts/bench-page/played.js';

// A page that fails on an answer that no server of ours gives would be measured for nothing.

const { server } = playedServer(3, 50);
let url: string;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens to a port
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const sides = [0, 1].map((at) => `${deviceId(at)}/${benchId(at)}`);

test.each([
  ['session', sessionSchema],
  ['fleet', fleetSchema],
  [`devices/${deviceId(0)}`, deviceSchema],
  [`devices/${deviceId(0)}/history?metrics=a,b&from=0&to=900000`, historySchema],
  ['rollouts', rolloutsSchema],
  [`rollouts/${ROLLOUT}`, rolloutAnswerSchema],
  ['benches', benchesSchema],
  [`benches/${sides[0]}`, benchSchema],
  [`compare?left=${sides[0]}&right=${sides[1]}`, compareSchema],
  ['models', modelsSchema],
])('the server for measuring the page answers %s as the real one does', async (path, schema) => {
  const answer: unknown = await (await fetch(`${url}/${path}`)).json();
  expect(schema.safeParse(answer).error?.issues.slice(0, 3)).toBeUndefined();
});

test.each([
  // The hour goes on with the fleet alone, and in its first second there is of everything.
  [`?device=${deviceId(0)}`, ['telemetry', 'job', 'bench']],
  ['', ['devices', 'rollout']],
])('and its events %j', async (query, names) => {
  const stop = new AbortController();
  const response = await fetch(`${url}/events${query}`, { signal: stop.signal });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (names.every((name) => text.includes(`event: ${name}\n`))) break;
  }
  stop.abort();
  for (const part of text.split('\n\n').slice(0, -1)) {
    const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? [];
    const schema = Object.entries(eventSchemas).find(([known]) => known === name)?.[1];
    expect(schema).toBeDefined();
    expect(schema?.safeParse(JSON.parse(data)).error?.issues.slice(0, 3)).toBeUndefined();
  }
});
