import { AppShell, Badge, Burger, Group, NavLink, ScrollArea, Text, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { ReactNode } from "react";
import { Link, useLocation } from "react-router";
import { PLACES } from "./places";
import { may, useWho } from "./who";

type Props = { onSignOut: () => void; children: ReactNode };

/** Navigation, who is signed in, and a place. */
export function Frame({ onSignOut, children }: Props) {
  const [opened, { toggle, close }] = useDisclosure();
  const { pathname } = useLocation();
  const who = useWho();
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 220, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding="md"
    >
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <Text fw={700}>Boxoffice</Text>
          </Group>
          <Group gap="sm" wrap="nowrap">
            <Text size="sm" truncate maw={180}>
              {who.name}
            </Text>
            <Badge variant="light">{who.role}</Badge>
            <UnstyledButton onClick={onSignOut} fz="sm" td="underline">
              Sign out
            </UnstyledButton>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Dashboard">
        <AppShell.Section grow component={ScrollArea}>
          {PLACES.filter(({ label, role }) => label && may(who, role)).map(({ path, label }) => {
            const to = `/staff${path === "/" ? "" : path}`;
            const active = path === "/" ? pathname === to : pathname.startsWith(to);
            return <NavLink key={path} component={Link} to={to} label={label} active={active} onClick={close} />;
          })}
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main>{children}</AppShell.Main>
    </AppShell>
  );
}
