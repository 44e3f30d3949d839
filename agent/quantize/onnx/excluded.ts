import type { Scheme, SchemeRule } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { firstOutput, opName } from '../../model/onnx/graph.ts';

type Rules = Pick<Scheme, 'excluded' | 'rules'>;

/** Whether a node is to stay in float; nodes are named by their name or by what they make. */
export function isExcluded(scheme: Rules, node: NodeProto): boolean {
  if (namesOf(node).some((name) => scheme.excluded.includes(name))) return true;
  return ruleFor(scheme, node).precision === 'float';
}

/** All that the rules of a scheme say of one node, the last word of each field. */
export function ruleFor({ rules = [] }: Rules, node: NodeProto): SchemeRule {
  let all: SchemeRule = {};
  for (const rule of rules) {
    if (!matches(rule, node)) continue;
    const said = Object.entries(rule).filter(([, value]) => value !== undefined);
    all = { ...all, ...Object.fromEntries(said) };
  }
  return all;
}

/** Whether a rule is about a node. */
export function matches({ op, name }: SchemeRule, node: NodeProto): boolean {
  if (op !== undefined && op !== opName(node)) return false;
  if (name === undefined) return true;
  return namesOf(node).some((one) => fits(one, name));
}

function namesOf(node: NodeProto): readonly string[] {
  return [node.name ?? '', firstOutput(node)].filter((name) => name !== '');
}

/** `*` stands for any characters, also none. Without backtracking: each part at its first place. */
function fits(text: string, pattern: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (!text.startsWith(head)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - tail.length >= at && text.endsWith(tail);
}
