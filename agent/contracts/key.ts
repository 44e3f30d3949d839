import { z } from 'zod';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/**
 * A signing key in a file of its own, the private half encrypted with a passphrase: scrypt (RFC
 * 7914) makes the key, AES-256-GCM encrypts, and the public half is authenticated along with it.
 */
export const keyFileSchema = z
  .object({
    schema: z.literal('edgefit/key/1'),
    keyId: hex(32).describe('TUF key id: SHA-256 of the canonical public key'),
    public: hex(32).describe('ed25519 public key'),
    comment: z.string().max(200).optional().describe('whose key it is'),
    private: z
      .object({
        kdf: z.object({
          name: z.literal('scrypt'),
          // Bounds: a hostile file must not make the reader use gigabytes.
          n: z.number().int().min(16_384).max(1_048_576),
          r: z.number().int().min(1).max(16),
          p: z.number().int().min(1).max(4),
          salt: hex(16),
        }),
        cipher: z.literal('aes-256-gcm'),
        nonce: hex(12),
        /** 32 bytes of seed and 16 bytes of tag. */
        data: hex(48),
      })
      .optional()
      .describe('left out where only the public half is handed on'),
  })
  .describe('an ed25519 signing key, its private half encrypted');

export type KeyFile = z.infer<typeof keyFileSchema>;
