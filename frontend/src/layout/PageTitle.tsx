import { Title } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import classes from "./PageTitle.module.css";

/** The first page is read from its top by itself; what comes after it takes the focus, so that it is read too. */
let first = true;

type Props = {
  children: ReactNode;
  /** The document's title, where the heading is not it. */
  document?: string;
};

/** The heading of a page, or of a step of one: give it a `key` for each step, and it takes the focus when that begins. */
export function PageTitle({ children, document: named }: Props) {
  const { t } = useTranslation();
  const heading = useRef<HTMLHeadingElement>(null);
  const title = named ?? (typeof children === "string" ? children : "");
  useEffect(() => {
    document.title = title ? `${title} · ${t("name")}` : t("name");
  }, [title, t]);
  useEffect(() => {
    if (!first) heading.current?.focus({ preventScroll: true });
    first = false;
  }, []);
  return (
    <Title order={1} ref={heading} tabIndex={-1} className={classes.title}>
      {children}
    </Title>
  );
}
