import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';

/**
 * Documents that a device acts upon come signed: the broker that carries them is not trusted. The
 * signatures cover the canonical JSON (RFC 8785) of `signed`, which names the device it is for, a
 * counter that only grows, and when it stops being valid, so that it can be neither used for another
 * device nor replayed later (Uptane, "Director repository").
 */

const HEX_64 = /^[0-9a-f]{64}$/;
const HEX_128 = /^[0-9a-f]{128}$/;

/** What kind of document it is: one kind can never be taken for another. */
export const signedTypes = ['job', 'twin', 'rollout'] as const;

export const signatureSchema = z.object({
  keyId: z.string().regex(HEX_64).describe('id of an ed25519 key, as TUF makes key ids'),
  sig: z.string().regex(HEX_128).describe('ed25519 signature, hexadecimal'),
});

/** What every signed part has; each type of document adds its own fields. */
export const signedPartSchema = z.looseObject({
  type: z.enum(signedTypes),
  deviceId: z.string().regex(ID_PATTERN).describe('the only device that may act upon it'),
  counter: z
    .number()
    .int()
    .nonnegative()
    .describe('grows with every document of a type for a device: an older one is refused'),
  expires: z.iso.datetime().describe('RFC 3339, UTC: not acted upon afterwards'),
});

export const signedDocumentSchema = z
  .object({
    schema: z.literal('edgefit/signed/1'),
    signed: signedPartSchema,
    signatures: z.array(signatureSchema).min(1).max(16),
  })
  .describe('a job or a desired twin with the signatures of an operator or a controller');

export type SignedPart = z.infer<typeof signedPartSchema>;
export type SignedDocument = z.infer<typeof signedDocumentSchema>;
export type DocumentSignature = z.infer<typeof signatureSchema>;
export type SignedType = (typeof signedTypes)[number];
