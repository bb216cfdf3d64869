# ruff: noqa: E501  lists of forms read better unwrapped
"""Made-up values of each type, in many spellings and from many countries."""

from __future__ import annotations

from training.deid import words
from training.deid.numbers import Numbers


class Surfaces(Numbers):
    """Draws made-up values; one seed gives one sequence."""

    def town(self) -> str:
        return self.random.choice(self._towns if self.random.random() < 0.5 else words.TOWNS)

    def street(self) -> str:
        r = self.random
        if r.random() < 0.3:
            return r.choice(self._streets)
        base = r.choice(
            [
                r.choice(self._last),
                r.choice(self._first),
                r.choice(words.WORD_SURNAMES),
                r.choice(
                    "Main Oak Maple Elm Pine Cedar Birch Washington Lincoln Park Lake Hill Mill River "
                    "Church School Spring Sunset Harbor Telegraph Old Mill|Martin Luther King|"
                    "Cedar Ridge|Pine Hollow".replace("|", " ").split()
                ),
            ]
        )
        kind = r.choice(
            "Street St St. Ave Avenue Rd Road Blvd Lane Ln Drive Dr Court Ct Way Place Circle "
            "Terrace Pkwy Highway Trail Loop".split()
        )
        return f"{r.choice(['', '', '', 'N ', 'S. ', 'West '])}{base} {kind}"

    def address(self) -> str:
        r = self.random
        if r.random() < 0.35:
            return r.choice(self._addresses)
        line = f"{r.randint(1, 19999)} {self.street()}"
        if r.random() < 0.3:
            line += r.choice([", Apt ", " apt ", " #", ", Unit ", ", Suite "]) + str(
                r.randint(1, 900)
            )
        if r.random() < 0.5:
            state = r.choice(
                "AZ CA CO FL GA IA IL MA ME MI MN MO NC NH NJ NM NV NY OH OR PA TX VA WA WI".split()
            )
            line += f"{r.choice([', ', ' ', chr(10)])}{self.town()}{r.choice([', ', ' '])}{state}"
            line += f" {r.randint(10000, 99999)}" if r.random() < 0.7 else ""
        return line

    def place(self) -> str:
        r = self.random
        kind = r.random()
        if kind < 0.6:
            return self.town()
        if kind < 0.75:
            return self.street()
        if kind < 0.93:
            return self.address()
        return r.choice(
            [
                f"{r.randint(10000, 99999)}",
                f"P.O. Box {r.randint(1, 9999)}",
                f"Route {r.randint(1, 99)}",
            ]
        )

    def zip_code(self) -> str:
        return f"{self.random.randint(501, 99950):05d}"

    def hospital(self) -> str:
        r = self.random
        if r.random() < 0.25:
            return r.choice(words.HOSPITALS)
        base = r.choice(
            [
                self.town(),
                self.last(),
                f"St. {self.first()}",
                f"Saint {self.first()}",
                f"St {self.first()}'s",
                f"St. {r.choice('Vincent Mary Luke Joseph Jude Francis Anne Elizabeth Anthony'.split())}'s",
                r.choice(
                    "Lakeshore Cascade Riverside Mercy Sacred Heart Good Samaritan Valley Summit Keystone "
                    "Harbor Tidewater Piedmont Evergreen Bayview Northside Eastgate Bluegrass Prairie "
                    "Granite Copper Canyon Blue Ridge Holy Cross Methodist Baptist Providence".split()
                ),
            ]
        )
        if "'s" in base and r.random() < 0.7:
            return base
        tail = r.choice(
            "Hospital|Medical Center|Regional Medical Center|Clinic|General|Memorial Hospital|Health|"
            "Community Hospital|Children's Hospital|Family Medicine|Pediatrics|Cardiology|Orthopedics|"
            "Dermatology|Eye Care|Dental|Imaging|Urgent Care|Surgery Center|Physical Therapy|Rehab|"
            "Nursing Home|Memory Care|Hospice|Home Health|Women's Health|Oncology|Cancer Center|Labs|"
            "Behavioral Health|Counseling|Nephrology|Sleep Center|ER|Infusion Center|Internal Medicine|"
            "Health System|University Hospital|VA Medical Center|Fertility|Pain Clinic|Vein Center".split(
                "|"
            )
        )
        return f"{base} {tail}"

    def pharmacy(self) -> str:
        r = self.random
        if r.random() < 0.3:
            return f"{r.choice([self.last(), self.town()])} {r.choice(['Pharmacy', 'Drug', 'Drugs', 'Family Pharmacy', 'Apothecary', 'Compounding'])}"
        base = r.choice(words.PHARMACIES)
        return base + r.choice(["", "", "", f" #{r.randint(10, 9999)}", f" on {self.street()}"])

    def insurer(self) -> str:
        r = self.random
        base = r.choice(words.INSURERS)
        return base + r.choice(
            ["", "", "", " PPO", " Gold Plus", " of " + r.choice(words.COUNTRIES[38:]), " HMO"]
        )

    def school(self) -> str:
        r = self.random
        base = r.choice([self.last(), self.town(), f"{self.full()}"])
        return f"{base} {r.choice('Elementary|Middle School|High School|High|Academy|Montessori|Daycare|Preschool|Charter School|Community College|University|College|K-8'.split('|'))}"

    def company(self) -> str:
        r = self.random
        if r.random() < 0.55:
            return r.choice(self._companies)
        base = r.choice(
            [
                self.last(),
                self.town(),
                r.choice(
                    "Brightline Apex Delmar Summit Cascade Nova Pioneer Vertex Granite Bluebird Tri-County Metro Golden Quantum".split()
                ),
            ]
        )
        return f"{base} {r.choice('Logistics|Foods|Solar|Manufacturing|Construction|Industries|Printing|Insurance|Bank|Credit Union|Recovery Group|Law|LLC|Inc.|& Sons|Motors|Transit|Apartments|School District|Staffing|Systems|Labs|Supply|Airlines|Records|Press'.split('|'))}"

    def organisation(self) -> str:
        return self.random.choice(
            [self.hospital, self.hospital, self.pharmacy, self.insurer, self.school, self.company]
        )()
