import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { Ajv, type AnySchema } from 'ajv';
import { z } from 'zod';
import { TOPIC_PATTERNS, TOPIC_ROOT } from '../../agent/fleet/protocol/topics.ts';
import { newSigner } from '../fleet/operator/support.ts';
import { rollout } from '../fleet/operator/rollout-fixture.ts';
import { signDocument } from '../../agent/fleet/protocol/signed.ts';
import { rolloutCommand } from '../../agent/fleet/operator/rollouts.ts';

const root = resolve(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);

const documentSchema = z.looseObject({
  channels: z.record(
    z.string(),
    z.looseObject({
      address: z.string(),
      parameters: z.record(z.string(), z.unknown()),
      messages: z.record(z.string(), z.looseObject({ payload: z.unknown() })),
    }),
  ),
  operations: z.record(z.string(), z.looseObject({ action: z.string() })),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
});

const text = readFileSync(join(root, 'docs/asyncapi.json'), 'utf8');
const document = documentSchema.parse(JSON.parse(text));

function newAjv(): Ajv {
  // AsyncAPI's schema holds the draft that ajv would add itself.
  return new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false });
}

/** Checks a message against the payload that the document gives a channel. */
function check(kind: string, message: unknown): string {
  const payload = document.channels[kind]?.messages[kind]?.payload;
  const schema = { ...z.looseObject({}).parse(payload), components: document.components };
  const ajv = newAjv();
  return ajv.validate(schema, message) ? 'valid' : ajv.errorsText();
}

test('is a document of AsyncAPI 3.0', () => {
  const specs = z
    .record(
      z.string(),
      z.custom<AnySchema>((value) => typeof value === 'object'),
    )
    .parse((require('@asyncapi/specs') as { schemas: unknown }).schemas);
  const schema = specs['3.0.0'];
  if (schema === undefined) throw new Error('no schema of AsyncAPI 3.0.0');
  const ajv = newAjv();
  expect([ajv.validate(schema, JSON.parse(text)), ajv.errorsText()]).toEqual([true, 'No errors']);
  const damaged: unknown = JSON.parse(text.replaceAll('"action": "send"', '"action": "shout"'));
  expect(ajv.validate(schema, damaged)).toBe(false);
});

test('has every topic with its parameters, and one operation for each', () => {
  const addresses = Object.fromEntries(
    Object.entries(document.channels).map(([kind, { address }]) => [kind, address]),
  );
  const expected = Object.entries(TOPIC_PATTERNS).map(([kind, pattern]) => [
    kind,
    `${TOPIC_ROOT}/${pattern}`,
  ]);
  expect(addresses).toEqual(Object.fromEntries(expected));
  for (const { address, parameters } of Object.values(document.channels)) {
    const names = [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(Object.keys(parameters)).toEqual(names);
  }
  expect(Object.keys(document.operations)).toHaveLength(Object.keys(TOPIC_PATTERNS).length);
});

test('its schemas take what the program writes and refuse what it does not', () => {
  expect(check('rollout', rollout())).toBe('valid');
  expect(check('rollout', { ...rollout(), rev: 0 })).toContain('rev');
  const request = {
    rolloutId: 'r1',
    command: 'create' as const,
    spec: { model: { name: 'kws', version: '1.0.0' } },
  };
  const signed = signDocument(rolloutCommand(request, new Date()), [newSigner()]);
  expect(check('rolloutCommand', signed)).toBe('valid');
  expect(check('rolloutCommand', { ...signed, signatures: [] })).toContain('signatures');
  const other = { ...signed, signed: { ...signed.signed, command: 'destroy' } };
  expect(check('rolloutCommand', other)).toContain('command');
});
