"""Short words that are often fingerspelled and that dictionaries and name lists leave out.

Months, days and their usual abbreviations, initialisms, loan signs, brands and other names. Written
for this project; not taken from any corpus of signing.
"""

from __future__ import annotations

CALENDAR = """
january february march april may june july august september october november december
jan feb mar apr jun jul aug sep sept oct nov dec
monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thur thurs fri sat sun
am pm bc ad easter halloween thanksgiving christmas hanukkah passover ramadan diwali xmas
"""

INITIALISMS = """
asl bsl lsf rit ntid csun coda koda nad wfd vrs vri tty tdd ci idea iep ada ssi ssdi
usa us uk eu un nato uae ussr dc la ny nyc sf ca tx fl pa va md ma nc sc az
fbi cia nsa irs dmv epa fda cdc nih nasa usda usps hud dhs ice tsa faa fcc sec doj dod va
nba nfl nhl mlb ncaa mls nascar ufc wwe espn fifa ioc
abc nbc cbs cnn pbs hbo mtv bbc npr fox tv cd dvd vcr dj pc mac usb wifi gps html http www com org
net edu gov pdf jpg gif sms faq app url id pin atm ceo cfo hr pr it ok asap eta fyi diy tba tbd aka
bbq blt pbj pj pjs ac dc er icu iv mri ct ekg ecg dna rna hiv aids std flu adhd add ptsd ocd
iq gpa sat act gre gmat lsat ged phd ba bs ma ms mba md rn jd esq dr mr mrs jr sr
ucla usc mit nyu unc lsu byu suv rv atv mph mpg led lcd hd uv ph lgbt ngo ymca ywca aarp aaa
kg km cm mm lb lbs oz ft yd tsp tbsp inc ltd corp dept ave blvd st rd apt
"""

LOAN_SIGNS = """
all any back bank bus busy but car club cool cure dad do early easy fix gas golf hot hurt if job
june lab love mom name no not of off oh on or own park rice ruth so soon sale style sure taco toy
too truck van what when wow yes yogurt zoo zoom
"""

BRANDS = """
google gmail youtube facebook instagram twitter tiktok snapchat whatsapp messenger skype zoom slack
netflix hulu disney spotify pandora reddit linkedin pinterest wikipedia amazon ebay etsy paypal
venmo apple iphone ipad imac microsoft windows excel outlook xbox nintendo playstation sony
samsung nokia
android pixel kindle alexa siri intel nvidia amd dell hp ibm lenovo asus canon nikon kodak gopro
toyota honda nissan mazda subaru hyundai kia ford chevy chevrolet dodge jeep tesla bmw audi vw volvo
mercedes lexus acura infiniti porsche ferrari uber lyft fedex ups dhl amtrak greyhound delta boeing
walmart target costco ikea kroger safeway aldi walgreens cvs lowes macys sears kmart gap nike adidas
puma reebok levis gucci prada chanel rolex lego barbie pokemon marvel batman superman
mcdonalds wendys subway starbucks dunkin chipotle kfc popeyes sonic dennys ihop dominos pepsi coke
sprite fanta oreo nutella doritos cheerios nestle heinz visa mastercard amex
sorenson purple convo zvrs gallaudet harvard yale princeton stanford berkeley purdue cornell duke
yankees lakers celtics bulls cowboys patriots steelers packers dodgers cubs giants
"""

COMMON_SPELLINGS = tuple(dict.fromkeys((CALENDAR + INITIALISMS + LOAN_SIGNS + BRANDS).split()))
