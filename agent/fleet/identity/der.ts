/**
 * As much of DER (ITU-T X.690) as a certificate request needs: each value is its tag, its length
 * and its content.
 */

const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Up to 127 in one byte, else the number of bytes with the top bit set, then the bytes. */
function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 + bytes.length]), bytes]);
}

function value(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag]), lengthBytes(content.length), content]);
}

export function sequence(...items: readonly Uint8Array[]): Buffer {
  return value(TAG.sequence, Buffer.concat(items));
}

/** DER sorts the items of a set; ours have one. */
export function setOfOne(item: Uint8Array): Buffer {
  return value(TAG.set, item);
}

/** A whole number from 0 to 127. */
export function smallInteger(number: number): Buffer {
  return value(TAG.integer, Buffer.from([number]));
}

export function utf8String(text: string): Buffer {
  return value(TAG.utf8String, Buffer.from(text));
}

export function octetString(content: Uint8Array): Buffer {
  return value(TAG.octetString, content);
}

/** Whole bytes: no bit of the last one is unused. */
export function bitString(content: Uint8Array): Buffer {
  return value(TAG.bitString, Buffer.concat([Buffer.from([0]), content]));
}

/** Such as `2.5.4.3`: the first two numbers share a byte, each other one takes 7 bits per byte. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((number) => {
    const digits = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return value(TAG.objectId, Buffer.from(bytes));
}

/** A value under a context tag (`[number]`): constructed ones hold values, others bytes. */
export function tagged(number: number, content: Uint8Array, constructed: boolean): Buffer {
  return value((constructed ? 0xa0 : 0x80) + number, content);
}
