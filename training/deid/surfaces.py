"""Made-up values of each type, in many spellings and from many countries (Faker's locales)."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

from faker import Faker

from training.deid import words

_LOCALES = (
    "en_US en_US en_US en_GB en_IN en_NZ en_IE es_MX es_ES es_AR es_CO fr_FR fr_CA pt_BR pt_PT de_DE "
    "it_IT nl_NL pl_PL cs_CZ hu_HU ro_RO sv_SE no_NO da_DK fi_FI tr_TR vi_VN id_ID tl_PH yo_NG ha_NG "
    "ig_NG zu_ZA hr_HR lt_LT lv_LV et_EE sk_SK sl_SI"
).split()
# Names that Faker's Latin-script locales lack.
_MORE_FIRST = (
    "Wei Xiu Mei Jun Ling Hao Yan Fang Min-ji Ji-woo Seung Hyun Soo-jin Kenji Yuki Haruto Sakura Aiko "
    "Nguyet Thuy Linh Duc Quang Phuong Bao Xong Mai Pa Kou Tou Yer Chue Amina Fatima Khadija Hodan "
    "Abdi Ayaan Ifrah Mohamed Ahmed Yusuf Ibrahim Hassan Zainab Layla Noor Omar Khalid Samira Tariq "
    "Priya Anjali Rahul Sanjay Deepa Lakshmi Arjun Farid Parisa Dariush Shirin Tesfaye Almaz Selam "
    "Bekele Hirut Chidi Ngozi Emeka Folasade Kwame Ama Kofi Akosua Wanjiru Otieno Svetlana Dmitri "
    "Oksana Anya Boris Ilona Goran Milica Ioanna Stavros Leilani Kainoa Sione Tevita Malia Dakota "
    "Shadi Nizhoni Tiponi Deshawn Latoya Tyrone Shanice Jamal Keisha Malik Aaliyah DeAndre LaTasha"
).split()
_MORE_LAST = (
    "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Kim Lee Park Choi Jung Kang Cho Yoon Tanaka "
    "Suzuki Sato Nakamura Yamamoto Tran Nguyen Pham Vang Xiong Yang Moua Lor Thao Hassan Ali Mohamed "
    "Warsame Abdullahi Farah Osman Haddad Khoury Nasser Rahman Hussain Khan Ahmad Patel Shah Singh Kaur "
    "Sharma Gupta Iyer Reddy Rao Banerjee Hosseini Tehrani Ahmadi Bekele Tadesse Haile Okafor Adeyemi "
    "Eze Mensah Boateng Owusu Kamau Odhiambo Ivanov Petrova Volkov Kowalczyk Papadopoulos Kahale "
    "Kealoha Tuiasosopo Begay Yazzie Tsosie Washington Jefferson Booker Banks O'Dowd O'Brien McAllister"
).split()
_PARTICLES = ("de la", "de", "van der", "van", "von", "del", "da", "al-", "El", "bin", "St.")
_EMAIL_HOSTS = (
    "example.com example.org example.net mail.example postbox.example gmail.com yahoo.com hotmail.com "
    "outlook.com icloud.com aol.com comcast.net"
).split()
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_SHORT_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec".split()
_SPANISH_MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
_ONES = "zero one two three four five six seven eight nine".split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth thirtieth"
).split()


def _is_latin(text: str) -> bool:
    return all(not c.isalpha() or unicodedata.name(c, "").startswith("LATIN") for c in text)


class Surfaces:
    """Draws made-up values; one seed gives one sequence."""

    def __init__(self, seed: int, per_locale: int = 250) -> None:
        self.random = random.Random(seed)
        Faker.seed(seed)
        self._first: list[str] = list(_MORE_FIRST)
        self._last: list[str] = list(_MORE_LAST)
        self._towns: list[str] = list(words.TOWNS)
        self._streets: list[str] = []
        self._addresses: list[str] = []
        self._companies: list[str] = list(words.EMPLOYERS)
        self._numbers: list[str] = []
        for locale in _LOCALES:
            self._fill(Faker(locale), locale, per_locale)

    def _fill(self, fake: Faker, locale: str, count: int) -> None:
        def draw(method: str, into: list[str], times: int) -> None:
            for _ in range(times):
                try:
                    value = str(getattr(fake, method)())
                except (AttributeError, NotImplementedError):
                    return
                if value and _is_latin(value):
                    into.append(value)

        draw("first_name", self._first, count)
        draw("last_name", self._last, count)
        draw("city", self._towns, count // 3)
        draw("street_name", self._streets, count // 3)
        draw("street_address", self._addresses, count // 3)
        draw("address", self._addresses, count // 3)
        draw("company", self._companies, count // 3)
        draw("phone_number", self._numbers, count // 4)
        if locale == "en_US":
            self._towns += [fake.local_latlng(country_code="US")[2] for _ in range(150)]

    # --- people ---------------------------------------------------------------------------------

    def first(self) -> str:
        rare = self.random.random()
        if rare < 0.06:
            return self.random.choice(words.WORD_NAMES)
        name = self.random.choice(self._first)
        if rare < 0.09:
            name += "-" + self.random.choice(self._first)
        return name

    def last(self) -> str:
        rare = self.random.random()
        if rare < 0.08:
            return self.random.choice(words.WORD_SURNAMES)
        if rare < 0.11:
            eponym = self.random.choice(words.EPONYMS).split()[0].split("'")[0].split("-")[0]
            return eponym.capitalize()
        name = self.random.choice(self._last)
        if rare < 0.16:
            name += "-" + self.random.choice(self._last)
        elif rare < 0.19:
            name = self.random.choice(_PARTICLES) + " " + name
        return name

    def full(self) -> str:
        kind = self.random.random()
        first, last = self.first(), self.last()
        initial = self.random.choice("ABCDEFGHJKLMNPRSTVW")
        if kind < 0.52:
            return f"{first} {last}"
        if kind < 0.60:
            return f"{first} {initial}. {last}"
        if kind < 0.66:
            return f"{first} {self.first()} {last}"
        if kind < 0.72:
            return f"{last}, {first}"
        if kind < 0.77:
            return f"{last.upper()}, {first.upper()}" + self.random.choice(
                ["", f" {initial}", f" {initial}."]
            )
        if kind < 0.82:
            return f"{first[0]}. {last}"
        if kind < 0.85:
            return f"{first} {last} {self.random.choice(['Jr', 'Jr.', 'Sr.', 'III', 'II'])}"
        if kind < 0.88:
            return f'{first} "{self.first()}" {last}'
        if kind < 0.91:
            return f"{first} {last} {self.last()}"
        if kind < 0.94:
            return f"{initial}. {self.random.choice('ABCDEJLMRT')}. {last}"
        return f"{first} {last}".lower()

    def initialed(self) -> str:
        return f"{self.first()} {self.random.choice('ABCDEFGHJKLMNPRSTVW')}" + self.random.choice(
            ["", ".", "."]
        )

    def name(self) -> str:
        kind = self.random.random()
        if kind < 0.45:
            return self.full()
        if kind < 0.8:
            return self.first()
        return self.initialed() if kind < 0.88 else self.last()

    # --- dates ----------------------------------------------------------------------------------

    def date(self) -> str:
        r = self.random
        day, month = r.randint(1, 28), r.randint(1, 12)
        year = r.choice([r.randint(1925, 2026), r.randint(2019, 2026)])
        name, short = _MONTHS[month - 1], _SHORT_MONTHS[month - 1]
        th = f"{day}{_suffix(day)}"
        forms: list[Callable[[], str]] = [
            lambda: f"{month}/{day}",
            lambda: f"{month}/{day}",
            lambda: f"{month}/{day}/{year % 100:02d}",
            lambda: f"{month:02d}/{day:02d}/{year}",
            lambda: f"{month}-{day}-{year % 100:02d}",
            lambda: f"{month:02d}-{day:02d}",
            lambda: f"{day}.{month}.{year}",
            lambda: f"{month:02d}.{day:02d}",
            lambda: f"{year}-{month:02d}-{day:02d}",
            lambda: f"{name} {day}",
            lambda: f"{name} {th}",
            lambda: f"{name} {day}, {year}",
            lambda: f"{name} {th} {year}",
            lambda: f"{short} {day}",
            lambda: f"{short}. {day}",
            lambda: f"{short} {day} {year}",
            lambda: f"{day} {name}",
            lambda: f"{day} {short} {year}",
            lambda: f"{th} of {name}",
            lambda: f"{day}-{short[:3]}-{year % 100:02d}",
            lambda: f"{day:02d}{short[:3].upper()}{year}",
            lambda: f"{name} the {th}",
            lambda: f"{name} {r.choice(_ORDINALS)}",
            lambda: f"{r.choice(_ORDINALS)} of {name}",
            lambda: f"{day}/{month}/{year}",
            lambda: f"{year}{month:02d}{day:02d}",
            lambda: f"{month} {day} {year % 100:02d}",
            lambda: f"{name.lower()} {day}",
        ]
        return r.choice(forms)()

    def birth_date(self) -> str:
        r = self.random
        day, month, year = r.randint(1, 28), r.randint(1, 12), r.randint(1925, 2025)
        name = _MONTHS[month - 1]
        tens = r.choice("thirty forty fifty sixty seventy eighty ninety".split())
        said = f"{name} {r.choice(_ORDINALS)} {r.choice(['', 'nineteen '])}{tens}-{r.choice(_ONES[1:])}"
        return r.choice(
            [
                f"{month}/{day}/{year % 100:02d}",
                f"{month:02d}/{day:02d}/{year}",
                f"{month}/{day}/{year}",
                f"{month}-{day}-{year}",
                f"{name} {day}, {year}",
                f"{name} {day} {year}",
                f"{day} {name} {year}",
                f"{year}-{month:02d}-{day:02d}",
                f"{month:02d}{day:02d}{year}",
                f"{month:02d}{day:02d}{year % 100:02d}",
                said,
                f"{month} {day} {year % 100:02d}",
                f"{month}.{day}.{year}",
            ]
        )

    def ordinal_day(self) -> str:
        day = self.random.randint(1, 31)
        if self.random.random() < 0.15:
            return self.random.choice(_ORDINALS)
        return f"{day}{_suffix(day)}"

    def spanish_date(self) -> str:
        r = self.random
        day, month = r.randint(1, 28), r.choice(_SPANISH_MONTHS)
        return r.choice(
            [
                f"{day} de {month}",
                f"{day} de {month} de {r.randint(1930, 2026)}",
                f"{day} de {month}",
            ]
        )

    def age(self) -> str:
        r = self.random
        if r.random() < 0.15:
            return "ninety" + r.choice(["", f"-{r.choice(_ONES[1:])}", f" {r.choice(_ONES[1:])}"])
        return str(r.choice([r.randint(90, 99), r.randint(90, 104)]))

    # --- ways to reach somebody -----------------------------------------------------------------

    def phone(self) -> str:
        r = self.random
        area, end = r.randint(201, 989), f"{r.randint(0, 9999):04d}"
        mid = r.choice([555, r.randint(200, 999)])
        kind = r.random()
        if kind < 0.62:
            return r.choice(
                [
                    f"{area}-{mid}-{end}",
                    f"({area}) {mid}-{end}",
                    f"{area}.{mid}.{end}",
                    f"{area} {mid} {end}",
                    f"{mid}-{end}",
                    f"1-{area}-{mid}-{end}",
                    f"+1 {area} {mid} {end}",
                    f"{area}{mid}{end}",
                    f"({area}){mid}-{end}",
                    f"{area}-{mid}-{end} ext {r.randint(1, 999)}",
                    f"{area}/{mid}-{end}",
                    f"+1-{area}-{mid}-{end}",
                    f"{mid} {end}",
                    f"{area}-{mid}-{end} x{r.randint(10, 9999)}",
                ]
            )
        if kind < 0.72:
            return self.spoken(f"{area}{mid}{end}" if r.random() < 0.6 else f"{mid}{end}")
        return r.choice(self._numbers)

    def spoken(self, digits: str) -> str:
        joint = self.random.choice([" ", " ", "-", ", "])
        zero = self.random.choice(["zero", "oh", "o"])
        return joint.join(zero if digit == "0" else _ONES[int(digit)] for digit in digits)

    def email(self) -> str:
        r = self.random
        first = _ascii(self.first()).lower()
        last = _ascii(self.last()).lower().replace(" ", "")
        host = r.choice(_EMAIL_HOSTS)
        if r.random() < 0.06:
            return f"{first} dot {last} at {host.replace('.', ' dot ')}"
        local = r.choice(
            [
                f"{first}.{last}",
                f"{first}{last}",
                f"{first[0]}{last}",
                f"{first}_{r.randint(1, 99)}",
                f"{last}.{first}",
                f"{first}{r.randint(1950, 2010)}",
                f"{first}",
            ]
        )
        address = f"{local}@{host}"
        return address.upper() if r.random() < 0.05 else address

    # --- numbers --------------------------------------------------------------------------------

    def identifier(self) -> str:
        r = self.random
        letters = "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(r.randint(1, 4)))
        pattern = r.choice(
            "####### ###### ######## ######### ##########  ##### #### ##-##### ###-##-#### ####-#### "
            "######-## #-####### ####-####-## ####-###-## @-###### @###### @######## @#######@ @-####-## "
            "@######-# @-##-##### @-2025-##### @####@ ##@#### #@###@## @### @-#### @##-####".split()
            + [
                "## #### ####",
                "@ ### ### ###",
                "### ## ####",
                "@ #### #### ##",
                "#### #### ##",
                "#### #### #### ####",
                "####-####-####-####",
                "@## #### #### #### #### ##",
                "##.##.###.##",
                "##:##:##:##:##:##",
                "############",
                "@#@# #### ####",
                "### ### ###",
            ]
        )
        if r.random() < 0.04:
            return self.spoken("".join(r.choice("0123456789") for _ in range(r.randint(5, 9))))
        out = "".join(
            r.choice("0123456789") if c == "#" else letters if c == "@" else c for c in pattern
        )
        return out.lower() if r.random() < 0.06 else out

    # --- places ---------------------------------------------------------------------------------

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

    # --- organisations --------------------------------------------------------------------------

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


def _suffix(day: int) -> str:
    if 10 < day < 14:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(c for c in plain if c.isalnum())
