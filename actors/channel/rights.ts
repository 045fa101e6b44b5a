// Who may change what about a group.

import { type Membership, MembershipChange, Role } from "../../proto/index.ts";
import { chatErrors } from "../errors.ts";
import type { ChannelState } from "./state.ts";

/** The change as it will be kept; undefined if it is so already. Throws the refusal. */
export function checkChange(
  state: ChannelState,
  userId: number,
  asked: Membership | null | undefined,
  groupMembersMax: number,
): Membership | undefined {
  if (state.direct || !asked) throw chatErrors.NOT_ALLOWED();
  const role = state.members.get(userId)?.role ?? Role.MEMBER;
  const { change, title } = asked;
  const members = asked.members;
  const entry = (named: Membership["members"], newTitle = "") => ({
    change,
    members: named,
    title: newTitle,
    historyVisible: state.historyVisible,
  });
  switch (change) {
    case MembershipChange.ADDED: {
      if (role === Role.MEMBER) throw chatErrors.NOT_ALLOWED();
      if (members.some((member) => member.role >= role && member.role !== Role.MEMBER)) throw chatErrors.NOT_ALLOWED();
      const fresh = members.filter((member) => !state.members.has(member.userId));
      if (state.members.size + fresh.length > groupMembersMax) throw chatErrors.GROUP_FULL();
      return fresh.length === 0 ? undefined : entry(fresh);
    }
    case MembershipChange.REMOVED: {
      const present = members.filter((member) => state.members.has(member.userId));
      for (const member of present) {
        if (role <= (state.members.get(member.userId)?.role ?? Role.MEMBER)) throw chatErrors.NOT_ALLOWED();
      }
      return present.length === 0 ? undefined : entry(present);
    }
    case MembershipChange.LEFT:
      return entry([{ userId, role }]);
    case MembershipChange.ROLE: {
      if (role !== Role.OWNER) throw chatErrors.NOT_ALLOWED();
      const changed = members.filter(({ userId: id, role: to }) => {
        const member = state.members.get(id);
        if (member === undefined)
          throw chatErrors.NO_SUCH_USER({ message: "That user is not a member of this channel." });
        return member.role !== to;
      });
      const owners = [...state.members.values()].filter((member) => member.role === Role.OWNER);
      const demoted = changed.filter((member) => owners.some((owner) => owner.userId === member.userId));
      const promoted = changed.filter((member) => member.role === Role.OWNER);
      if (owners.length - demoted.length + promoted.length < 1) throw chatErrors.NOT_ALLOWED();
      return changed.length === 0 ? undefined : entry(changed);
    }
    case MembershipChange.TITLE:
      if (role === Role.MEMBER) throw chatErrors.NOT_ALLOWED();
      return title === state.title ? undefined : entry([], title);
    case MembershipChange.CREATED:
      throw chatErrors.NOT_ALLOWED();
  }
}
