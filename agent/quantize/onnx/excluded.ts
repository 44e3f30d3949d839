import type { Scheme, SchemeRule } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';
import { firstOutput, opName } from '../../model/onnx/graph.ts';
import * as rules from '../excluded.ts';

type Rules = Pick<Scheme, 'excluded' | 'rules'>;

/** Whether a node is to stay in float; nodes are named by their name or by what they make. */
export function isExcluded(scheme: Rules, node: NodeProto): boolean {
  return rules.isExcluded(scheme, namedNode(node));
}

/** All that the rules of a scheme say of one node, the last word of each field. */
export function ruleFor(scheme: Rules, node: NodeProto): SchemeRule {
  return rules.ruleFor(scheme, namedNode(node));
}

/** Whether a rule is about a node. */
export function matches(rule: SchemeRule, node: NodeProto): boolean {
  return rules.matches(rule, namedNode(node));
}

/** By its name or by what it makes. */
export function namedNode(node: NodeProto): rules.Named {
  const names = [node.name ?? '', firstOutput(node)].filter((name) => name !== '');
  return { op: opName(node), names };
}
