import { Anchor, Container, Group } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link, Outlet, ScrollRestoration } from "react-router";
import { LanguageSwitch } from "./LanguageSwitch";
import classes from "./Shell.module.css";

/** The frame of the booking pages. */
export function Shell() {
  const { t } = useTranslation();
  return (
    <>
      <a href="#content" className={classes.skip}>
        {t("skip")}
      </a>
      <header className={classes.header}>
        <Container size="md">
          <Group justify="space-between" h={56}>
            <Anchor component={Link} to="/" className={classes.name}>
              {t("name")}
            </Anchor>
            <LanguageSwitch />
          </Group>
        </Container>
      </header>
      <Container size="md" component="main" id="content" tabIndex={-1} className={classes.content}>
        <Outlet />
      </Container>
      <ScrollRestoration />
    </>
  );
}
